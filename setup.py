"""The distribution `tapeline`: four packages and one command.

The dependencies are those of the lock in `requirements/`; a looser list here would let pip's
resolver loose on TFX, which takes it hours.
"""

from setuptools import find_packages, setup

setup(
    name="tapeline",
    version="0.1.0",
    description="An MLOps pipeline on TFX for people who train with their own loop",
    python_requires=">=3.10,<3.11",
    packages=find_packages(
        include=[
            f"{name}{rest}"
            for name in ("pipeline", "components", "trainer_module", "serving")
            for rest in ("", ".*")
        ]
    ),
    package_data={
        "pipeline.beam.flink": ["pom.xml"],
        "trainer_module.tasks.gan": ["classifier.npz"],
    },
    entry_points={"console_scripts": ["tapeline = pipeline.cli:main"]},
)

# What every node of a pipeline on Kubeflow runs in: this package and the locked libraries, no pip,
# no compiler and no user but an unprivileged one. A task of your own goes on top:
#
#   FROM tapeline-pipeline:1
#   COPY your_task /opt/tapeline/lib/python3.10/site-packages/your_task
#
#   docker build -f pipeline/runners/kubeflow/images/pipeline.Dockerfile -t tapeline-pipeline:1 .
#
# For nodes with GPUs: --build-arg TENSORFLOW=tensorflow, and CUDA on top.
# Tags can be moved: --build-arg BUILD_IMAGE=...@sha256:... and RUN_IMAGE=... pin the bases.
ARG BUILD_IMAGE=python:3.10.19-bookworm
ARG RUN_IMAGE=python:3.10.19-slim-bookworm

FROM $BUILD_IMAGE AS build
ARG TENSORFLOW=tensorflow-cpu
COPY requirements/tfx-1.16.txt requirements/tensorflow-cpu.txt /build/
WORKDIR /build
# The lock is complete, so that nothing is resolved here. tensorflow-cpu is the same release.
RUN if [ "$TENSORFLOW" = tensorflow-cpu ]; then \
        awk '/^[^ #]/ { dropped = /^tensorflow==/ } !dropped' tfx-1.16.txt > lock.txt \
        && cat tensorflow-cpu.txt >> lock.txt; \
    else cp tfx-1.16.txt lock.txt; fi \
    && python -m venv /opt/tapeline \
    && /opt/tapeline/bin/pip install --no-cache-dir --no-deps --require-hashes -r lock.txt
COPY setup.py pyproject.toml /build/tapeline/
COPY pipeline /build/tapeline/pipeline
COPY components /build/tapeline/components
COPY trainer_module /build/tapeline/trainer_module
COPY serving /build/tapeline/serving
RUN /opt/tapeline/bin/pip install --no-cache-dir --no-deps --no-build-isolation /build/tapeline
# Then goes what no node reads: headers, a compiler's library, symbols for debuggers, the packages'
# own tests, servers of notebooks, and the installer itself.
# What asks for the version of tensorflow is told that of tensorflow-cpu, which is the same.
RUN cd /opt/tapeline/lib/python3.10/site-packages \
    && for cpu in tensorflow_cpu-*.dist-info; do if [ -d "$cpu" ]; then \
        cp -r "$cpu" "tensorflow-${cpu#tensorflow_cpu-}" \
        && sed -i 's/^Name: .*/Name: tensorflow/' "tensorflow-${cpu#tensorflow_cpu-}/METADATA"; \
    fi; done \
    && rm -rf tensorflow/include clang jupyterlab notebook pip pip-* wheel wheel-* \
        /opt/tapeline/share /opt/tapeline/etc /opt/tapeline/bin/pip* \
    && find . -type d -name tests -prune -exec rm -rf {} + \
    && find . -type f -name '*.so*' -exec strip --strip-unneeded {} +

FROM $RUN_IMAGE
COPY --from=build /opt/tapeline /opt/tapeline
ENV PATH=/opt/tapeline/bin:$PATH TF_USE_LEGACY_KERAS=1 HOME=/tmp PYTHONDONTWRITEBYTECODE=1
# By number, so that Kubernetes sees that it is not root.
USER 10001:10001
WORKDIR /tmp
ENTRYPOINT ["python", "-m", "pipeline.runners.kubeflow.entrypoint"]

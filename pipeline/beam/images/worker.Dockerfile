# The workers that run the Python code: beside each TaskManager, and on Dataflow. Our package and
# the locked libraries; a task of your own goes on top:
#
#   FROM tapeline-worker:1
#   RUN pip install --no-deps your-task
#
#   docker build -f pipeline/beam/images/worker.Dockerfile -t tapeline-worker:1 .
FROM apache/beam_python3.10_sdk:2.60.0 AS beam

FROM python:3.10
COPY requirements/tfx-1.16.txt /build/requirements.txt
RUN pip install --no-cache-dir --require-hashes -r /build/requirements.txt
COPY setup.py pyproject.toml /build/tapeline/
COPY pipeline /build/tapeline/pipeline
COPY components /build/tapeline/components
COPY trainer_module /build/tapeline/trainer_module
COPY serving /build/tapeline/serving
RUN pip install --no-cache-dir --no-deps /build/tapeline && rm -r /build
# What Dataflow starts a worker with; beside a TaskManager the manifest names another command.
COPY --from=beam /opt/apache/beam /opt/apache/beam
ENV TF_USE_LEGACY_KERAS=1 HOME=/tmp
ENTRYPOINT ["/opt/apache/beam/boot"]

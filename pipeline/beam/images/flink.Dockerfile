# JobManager, TaskManager and Beam's job server of pipeline/beam/flink/kubernetes: the same jars as
# `make flink` has, in their own image, and no program but Java.
#
#   docker build -f pipeline/beam/images/flink.Dockerfile -t tapeline-flink:1 .
FROM maven:3.9-eclipse-temurin-17 AS jars
COPY pipeline/beam/flink/pom.xml /build/pom.xml
RUN mvn --batch-mode --quiet --file /build/pom.xml \
    dependency:copy-dependencies -DoutputDirectory=/build/jars

FROM eclipse-temurin:17-jre
COPY --from=jars /build/jars /opt/flink/jars
USER 10001:10001

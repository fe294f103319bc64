"""What the gate finds out when a run comes to it: which serving logs there are by then."""

from __future__ import annotations

from typing import Any

from tfx.proto.orchestration import driver_output_pb2

from components.anomaly_gate.config import ValidateConfig
from components.anomaly_gate.serving_logs import logs_fingerprint
from components.driver import Driver

VALIDATE, LOGS = "validate", "logs"


class GateDriver(Driver):
    """Puts the fingerprint of the logs into the parameters, so that new logs are a new input."""

    def run(self, execution_info: Any) -> driver_output_pb2.DriverOutput:
        validate = ValidateConfig.model_validate_json(execution_info.exec_properties[VALIDATE])
        pattern = validate.skew.serving_logs
        result = driver_output_pb2.DriverOutput()
        if pattern:
            result.exec_properties[LOGS].string_value = logs_fingerprint(pattern)
        return result

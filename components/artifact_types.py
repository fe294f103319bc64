"""Names of our own types of artifacts, as ML Metadata and Kubeflow know them."""

GATE_VERDICT = "components.GateVerdict"
LITE_MODELS = "components.LiteModels"

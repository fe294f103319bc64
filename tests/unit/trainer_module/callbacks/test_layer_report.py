"""The report of gradient, weight and update of each variable."""

from __future__ import annotations

import logging

from trainer_module.callbacks import LayerReport
from trainer_module.progress import LOGGER_NAME

VALUES = {
    "loss": 1.0,
    "gradient/conv1/kernel": 0.5,
    "weight/conv1/kernel": 2.0,
    "update/conv1/kernel": 0.004,
    "gradient/conv1/bias": 0.25,
    "weight/conv1/bias": 0.0,
    "update/conv1/bias": 0.001,
}


def test_layer_report_when_an_epoch_ends_then_writes_the_norms_and_their_ratio(
    tmp_path, caplog, make_training
):
    path = tmp_path / "layers.csv"
    report = LayerReport(str(path))
    report.on_train_begin(make_training())
    with caplog.at_level(logging.INFO, logger=LOGGER_NAME):
        report.on_epoch_end(1, 10, VALUES, {})
    assert path.read_text() == (
        "epoch,step,variable,gradient_norm,weight_norm,update_norm,update_ratio\n"
        "1,10,conv1/kernel,0.5,2.0,0.004,0.002\n"
        "1,10,conv1/bias,0.25,0.0,0.001,0.0\n"
    )
    event = caplog.records[-1].event
    assert event["kind"] == "layer_report"
    assert event["table"].splitlines()[1:] == [
        "variable       gradient     weight     update      ratio",
        "conv1/kernel  5.000e-01  2.000e+00  4.000e-03  2.000e-03",
        "conv1/bias    2.500e-01  0.000e+00  1.000e-03  0.000e+00",
    ]


def test_layer_report_when_resumed_then_keeps_the_rows_up_to_the_checkpoint(
    tmp_path, make_training
):
    path = tmp_path / "layers.csv"
    for resumed, epochs in ((0, (1, 2)), (10, (2,))):
        report = LayerReport(str(path))
        report.on_train_begin(make_training(resumed_from=resumed))
        for epoch in epochs:
            report.on_epoch_end(epoch, epoch * 10, VALUES, {})
    assert [line[:5] for line in path.read_text().splitlines()[1:]] == ["1,10,"] * 2 + ["2,20,"] * 2

"""Reads what silc registry export wrote, with the programs that it is for, and prints what they make of it as JSON.

    read_registry_export.py tensorboard|mlflow|pandas FOLDER

Exit code 3 and the reason, where a package is missing. MLflow's store is brought up to the schema of the MLflow that is
here, in place, as people are told to do.
"""

import json
import logging
import os
import pathlib
import sys
import warnings

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)


def read_tensorboard(folder):
    """Of each run: its scalars as [step, wall time, value], its texts, settings, group and status."""
    from tensorboard.backend.event_processing import event_multiplexer
    from tensorboard.plugins.hparams import api_pb2, metadata

    runs = event_multiplexer.EventMultiplexer().AddRunsFromDirectory(str(folder)).Reload()
    result = {}
    for run in runs.Runs():
        accumulator = runs.GetAccumulator(run)
        found = {"scalars": {}, "texts": {}}
        for tag in accumulator.Tags()["tensors"]:
            events = accumulator.Tensors(tag)
            plugin = accumulator.SummaryMetadata(tag).plugin_data
            if plugin.plugin_name == "scalars":
                found["scalars"][tag] = [
                    [each.step, each.wall_time, float(each.tensor_proto.float_val[0])] for each in events
                ]
            elif plugin.plugin_name == "text":
                found["texts"][tag] = [each.tensor_proto.string_val[0].decode() for each in events]
            elif tag == metadata.SESSION_START_INFO_TAG:
                start = metadata.parse_session_start_info_plugin_data(plugin.content)
                kinds = {name: value.WhichOneof("kind") for name, value in start.hparams.items()}
                found["settings"] = {name: getattr(value, kinds[name]) for name, value in start.hparams.items()}
                found["group"], found["start"] = start.group_name, start.start_time_secs
            elif tag == metadata.SESSION_END_INFO_TAG:
                end = metadata.parse_session_end_info_plugin_data(plugin.content)
                found["status"], found["end"] = api_pb2.Status.Name(end.status), end.end_time_secs
        for tag in accumulator.Tags()["scalars"]:
            found["scalars"][tag] = [[each.step, each.wall_time, each.value] for each in accumulator.Scalars(tag)]
        result[run] = found
    return result


def read_mlflow(folder):
    """Of each run, by its name: status, times, settings, tags, latest metrics, and the history of each as [step, ms, value]."""
    import mlflow
    import sqlalchemy
    from mlflow.store.db.utils import _upgrade_db

    uri = f"sqlite:///{folder / 'mlflow.db'}"
    _upgrade_db(sqlalchemy.create_engine(uri))  # mlflow db upgrade, without the seconds of a process of its own
    client = mlflow.MlflowClient(tracking_uri=uri)
    result = {}
    for experiment in client.search_experiments():
        for run in client.search_runs([experiment.experiment_id]):
            result[f"{experiment.name}/{run.info.run_name}"] = {
                "status": run.info.status,
                "start": run.info.start_time,
                "end": run.info.end_time,
                "settings": run.data.params,
                "tags": run.data.tags,
                "metrics": run.data.metrics,
                "history": {
                    name: [[each.step, each.timestamp, each.value] for each in client.get_metric_history(run.info.run_id, name)]
                    for name in run.data.metrics
                },
            }
    return result


def read_pandas(folder):
    """Of each file its columns, the kinds of their values, and the lines."""
    import pandas

    result = {}
    for file in sorted(folder.glob("*.csv")):
        table = pandas.read_csv(file)
        result[file.stem] = {"kinds": {name: str(kind) for name, kind in table.dtypes.items()}, "lines": len(table)}
    return result


def main():
    read = {"tensorboard": read_tensorboard, "mlflow": read_mlflow, "pandas": read_pandas}[sys.argv[1]]
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    try:
        result = read(pathlib.Path(sys.argv[2]))
    except ImportError as error:
        print(error)
        sys.exit(3)
    print(json.dumps(result, sort_keys=True))


main()

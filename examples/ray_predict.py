"""Predict and score a split with the workers of a Ray cluster, on one machine or many.

    pip install "ray>=2.40" earthreason
    python examples/ray_predict.py --config sample --split test --workers 2 --parts 8

Each worker builds its predictor once and takes parts until none is left. It sends back predictions and region counts;
the merged counts give exactly the scores of `earthreason.evaluate`, whichever worker did what.
"""

import argparse
import json
from pathlib import Path

import ray
from ray.util import ActorPool

from earthreason import load_dataset
from earthreason.data.schema import sample_of_row
from earthreason.metrics.accumulator import RegionAccumulator
from earthreason.predictions import write_predictions
from earthreason.predictions.predict import predict_samples
from earthreason.shards import Shard


@ray.remote(num_cpus=1)  # with a GPU: num_gpus=1
class Worker:
    """A process with a predictor and the split, of which it decodes only the parts that it gets."""

    def __init__(self, config, split, data_dir):
        from earthreason.predictors import Centre

        self.predictor = Centre()  # your model: an object with predict(images, questions) -> masks
        self.rows = load_dataset("earthreason", config, split=split, data_dir=data_dir)

    def work(self, shard):
        """Return the predictions of a part, and their region counts."""
        samples = [sample_of_row(row) for row in self.rows.select(shard.items_of(len(self.rows)))]
        truth = {sample.sample_id: sample for sample in samples}
        predictions = list(predict_samples(self.predictor, samples))
        counts = RegionAccumulator(["segearth-r1", "native"])
        for prediction in predictions:
            sample = truth[prediction.sample_id]
            counts.update(sample.sample_id, prediction.segmentation, sample.mask, prediction.question_index)
        return predictions, counts.to_dict()


def main():
    """Predict, score, and print the scores as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="sample")
    parser.add_argument("--split", default="test")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--parts", type=int, default=8)
    parser.add_argument("--out", type=Path, default=Path("preds.json"))
    options = parser.parse_args()

    load_dataset("earthreason", options.config, data_dir=options.data_dir)  # prepare the data once, not in each worker
    ray.init(num_cpus=options.workers, log_to_driver=False)  # of a cluster: ray.init(address="auto")
    pool = ActorPool([Worker.remote(options.config, options.split, options.data_dir) for _ in range(options.workers)])
    parts = [Shard(number, options.parts) for number in range(1, options.parts + 1)]
    predictions, counts = [], RegionAccumulator(["segearth-r1", "native"])
    for found, state in pool.map(lambda worker, part: worker.work.remote(part), parts):  # in the order of the parts
        predictions += found
        counts.merge(RegionAccumulator.from_dict(state))
    ray.shutdown()

    write_predictions(options.out, predictions, {"model": "centre", "config": options.config, "split": options.split})
    intervals = {name: [interval.low, interval.high] for name, interval in counts.intervals().items()}
    print(json.dumps({"questions": len(counts), "scores": counts.compute(), "intervals": intervals}))


if __name__ == "__main__":
    main()

"""Mistakes that a type checker finds. A line with a comment has one error with its words; no other has."""

import numpy as np

import earthreason
from earthreason import RegionAccumulator, evaluate, load_dataset
from earthreason.predictions import read_predictions
from earthreason.torch import PixelReasoningDataset

mask = np.zeros((4, 4), bool)
earthreason.evalute({"a": mask}, {"a": mask})  # has no attribute "evalute"
earthreason.load_datset("earthreason")  # has no attribute "load_datset"
result = evaluate({"a": mask}, {"a": mask}, missing="emty")  # Literal['emty']
evaluate({"a": mask}, {"a": mask}, instances="onion")  # Literal['onion']
total = result["gIoU"] + 1  # Unsupported operand types for + ("None" and "int")
scores = result.scoress  # has no attribute "scoress"
evaluate({"a": mask}, {"a": mask}, protocl="native")  # Unexpected keyword argument "protocl"
evaluate({"a": mask}, 7)  # incompatible type "int"
RegionAccumulator().update("a", "mask.png", mask)  # incompatible type "str"
RegionAccumulator().updte("a", mask, mask)  # has no attribute "updte"
PixelReasoningDataset(load_dataset(split="test"), questions="frist")  # Literal['frist']
load_dataset(name=7, split="test")  # No overload variant
read_predictions(7)  # incompatible type "int"

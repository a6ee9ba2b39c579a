"""SegEarth-R1 as a Predictor: images and questions in, masks out."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image
from transformers import PreTrainedConfig

from earthreason.errors import EarthReasonError

from ..common.predictor import MaskPredictor, find_config
from .generation import generate_reply
from .modeling import SegEarthR1Model
from .processing import SegEarthR1Processor


class SegEarthR1Predictor(MaskPredictor[SegEarthR1Model]):
    """SegEarth-R1 as a Predictor that can also answer in words."""

    model_class = SegEarthR1Model
    processor_class = SegEarthR1Processor

    @classmethod
    def read_config(cls, checkpoint: str | Path) -> PreTrainedConfig:
        """Read the configuration of a checkpoint in our format.

        Raises:
            EarthReasonError: the checkpoint is missing, of another model, or of the reference code.
        """
        path = find_config(checkpoint)
        if '"llava_phi"' in path.read_text(encoding="utf-8", errors="replace"):
            raise EarthReasonError(
                f"{checkpoint} is a checkpoint of the reference code; convert it once: "
                f"earthreason-baselines convert segearth_r1 {checkpoint} NEW_FOLDER"
            )
        return super().read_config(checkpoint)

    def answer(self, image: Image.Image, question: str, max_new_tokens: int = 64) -> str:
        """Generate the language model's answer by greedy decoding."""
        prompt = self.processor.prompt(question, self.task)
        with torch.inference_mode():
            pixels = self.processor.pixels([image]).to(self.model.device)
            return generate_reply(self.model, self.processor.tokenizer, prompt, pixels, self.task, max_new_tokens)

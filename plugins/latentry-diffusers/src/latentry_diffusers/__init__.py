"""Code shared by model families that use networks of diffusers and transformers; registers no plugin itself.

A family needs the names below; they are imported on first use. Everything else lies in rooms, whose docstrings say what
belongs there: ``files``, ``layouts``, ``recognise``, ``bundle``, ``loading``, ``text``, ``attention``, ``lora``,
``model``, ``convert``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentry import lazy_exports
from latentry_diffusers._former_modules import install

if TYPE_CHECKING:
    from latentry_diffusers.bundle.networks import CLIP as CLIP
    from latentry_diffusers.bundle.networks import CLIP_PROJECTED as CLIP_PROJECTED
    from latentry_diffusers.bundle.networks import FLUX as FLUX
    from latentry_diffusers.bundle.networks import SD3 as SD3
    from latentry_diffusers.bundle.networks import T5 as T5
    from latentry_diffusers.bundle.networks import UNET as UNET
    from latentry_diffusers.bundle.networks import VAE as VAE
    from latentry_diffusers.bundle.networks import Layout as Layout
    from latentry_diffusers.bundle.networks import Network as Network
    from latentry_diffusers.bundle.networks import PartSpec as PartSpec
    from latentry_diffusers.bundle.open import Bundle as Bundle
    from latentry_diffusers.bundle.open import open_bundle as open_bundle
    from latentry_diffusers.bundle.tokenizers import TokenizerSpec as TokenizerSpec
    from latentry_diffusers.bundle.tokenizers import load_text as load_text
    from latentry_diffusers.convert.release import Place as Place
    from latentry_diffusers.convert.release import Release as Release
    from latentry_diffusers.convert.write import write_checkpoint as write_checkpoint
    from latentry_diffusers.files.configs import check_agreement as check_agreement
    from latentry_diffusers.files.read import read_headers as read_headers
    from latentry_diffusers.files.tensor_header import TensorHeader as TensorHeader
    from latentry_diffusers.files.weight_files import WeightFiles as WeightFiles
    from latentry_diffusers.layouts.pair import Pair as Pair
    from latentry_diffusers.loading.dtypes import part_dtypes as part_dtypes
    from latentry_diffusers.loading.load import load_bundle as load_bundle
    from latentry_diffusers.model.autoencoder import Autoencoder as Autoencoder
    from latentry_diffusers.model.checkpoint import BundledCheckpoint as BundledCheckpoint
    from latentry_diffusers.model.networks_in_memory import NetworksInMemory as NetworksInMemory
    from latentry_diffusers.model.picture_size import check_size as check_size
    from latentry_diffusers.model.time_shift import flow_shift as flow_shift
    from latentry_diffusers.model.unet_checkpoint import UNetCheckpoint as UNetCheckpoint
    from latentry_diffusers.recognise.missing import Need as Need
    from latentry_diffusers.recognise.pipeline import read_pipeline as read_pipeline
    from latentry_diffusers.recognise.recognise import Family as Family
    from latentry_diffusers.recognise.recognise import FileFinding as FileFinding
    from latentry_diffusers.text.clip import encode_clip as encode_clip
    from latentry_diffusers.text.clip_skip import ClipConditioning as ClipConditioning
    from latentry_diffusers.text.t5 import encode_t5 as encode_t5
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "Autoencoder": "model.autoencoder",
            "Bundle": "bundle.open",
            "BundledCheckpoint": "model.checkpoint",
            "check_agreement": "files.configs",
            "check_size": "model.picture_size",
            "CLIP": "bundle.networks",
            "CLIP_PROJECTED": "bundle.networks",
            "ClipConditioning": "text.clip_skip",
            "encode_clip": "text.clip",
            "encode_t5": "text.t5",
            "Family": "recognise.recognise",
            "FileFinding": "recognise.recognise",
            "flow_shift": "model.time_shift",
            "FLUX": "bundle.networks",
            "Layout": "bundle.networks",
            "load_bundle": "loading.load",
            "load_text": "bundle.tokenizers",
            "Need": "recognise.missing",
            "Network": "bundle.networks",
            "NetworksInMemory": "model.networks_in_memory",
            "open_bundle": "bundle.open",
            "Pair": "layouts.pair",
            "part_dtypes": "loading.dtypes",
            "PartSpec": "bundle.networks",
            "Place": "convert.release",
            "read_headers": "files.read",
            "read_pipeline": "recognise.pipeline",
            "Release": "convert.release",
            "SD3": "bundle.networks",
            "T5": "bundle.networks",
            "TensorHeader": "files.tensor_header",
            "TokenizerSpec": "bundle.tokenizers",
            "UNET": "bundle.networks",
            "UNetCheckpoint": "model.unet_checkpoint",
            "VAE": "bundle.networks",
            "WeightFiles": "files.weight_files",
            "write_checkpoint": "convert.write",
        },
    )

install()

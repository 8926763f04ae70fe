"""A plugin of every kind, as they were written for contract 1.0. Not to be edited: see docs/versions.md."""

from latentry import (
    AttentionBackendSpec,
    CheckpointSpec,
    CommandSpec,
    ConditionerSpec,
    ControlSpec,
    ExecutorSpec,
    GuidanceSpec,
    ModelFamilySpec,
    ModelSourceSpec,
    SchedulerSpec,
    SigmaPreference,
    SigmaScheduleSpec,
    VariantSpec,
    hookimpl,
)


@hookimpl
def latentry_schedulers():
    yield SchedulerSpec(
        name="frozen",
        target="latentry_frozen.sampling:Frozen",
        summary="A first-order step.",
        aliases=("frozen-alias",),
        api=(1, 0),
        sigmas=(SigmaPreference("latentry-frozen:frozen-even"),),
    )


@hookimpl
def latentry_sigma_schedules():
    yield SigmaScheduleSpec(
        name="frozen-even", target="latentry_frozen.sampling:Even", summary="Even in t.", api=(1, 0)
    )


@hookimpl
def latentry_model_families():
    yield ModelFamilySpec(
        name="frozen",
        target="latentry_frozen.family:open_checkpoint",
        detector="latentry_frozen.detect:detect",
        summary="A network on pixels.",
        process="flow",
        variants=(
            VariantSpec(name="frozen", summary="The only one.", schedulers=("latentry-frozen:frozen",), steps=4),
        ),
        api=(1, 0),
    )


@hookimpl
def latentry_attention_backends():
    yield AttentionBackendSpec(
        name="frozen",
        target="latentry_frozen.attention:Plain",
        summary="By its definition.",
        devices=frozenset({"cpu"}),
        dtypes=frozenset({"float32", "float64"}),
        rank=-1,
        api=(1, 0),
    )


@hookimpl
def latentry_guidance():
    yield GuidanceSpec(
        name="frozen", target="latentry_frozen.guidance:Frozen", summary="Half of the guidance.", api=(1, 0)
    )


@hookimpl
def latentry_checkpoints():
    yield CheckpointSpec(
        name="frozen-model",
        target="latentry_frozen.detect:weights",
        summary="Random weights.",
        family="latentry-frozen:frozen",
        variant="frozen",
        size=16,
        licence="Apache-2.0",
        api=(1, 0),
    )


@hookimpl
def latentry_model_sources():
    yield ModelSourceSpec(
        name="frozen",
        target="latentry_frozen.source:Shelf",
        summary="A shelf with one model.",
        names="shelf/name of the shelf",
        api=(1, 0),
    )


@hookimpl
def latentry_commands():
    yield CommandSpec(name="freeze", target="latentry_frozen.command:freeze", summary="Say it is cold.", api=(1, 0))


@hookimpl
def latentry_conditioners():
    yield ConditionerSpec(
        name="frozen",
        target="latentry_frozen.steering:open_conditioner",
        detector="latentry_frozen.steering:detect",
        summary="A network beside the network.",
        families=("latentry-frozen:frozen",),
        api=(1, 0),
    )


@hookimpl
def latentry_controls():
    yield ControlSpec(
        name="frozen-control",
        target="latentry_frozen.detect:weights",
        summary="One by name.",
        conditioner="latentry-frozen:frozen",
        licence="Apache-2.0",
        api=(1, 0),
    )


@hookimpl
def latentry_executors():
    yield ExecutorSpec(name="frozen", target="latentry_frozen.steering:Nowhere", summary="Draws nothing.", api=(1, 0))

"""Settings come from the environment, or every fault is named."""

from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import Meta, Struct

from services.api.settings import Settings as ApiSettings
from services.ingest.settings import Settings as IngestSettings
from services.worker.settings import Settings as WorkerSettings
from shared.settings import SettingsError, read_settings, variable_of


class Sample(Struct, frozen=True, kw_only=True):
    database_url: str
    pool_size: Annotated[int, Meta(ge=1, le=20)] = 10
    pause_seconds: float = 0.5
    verbose: bool = False
    log_format: Literal["json", "console"] = "json"


GIVEN = {"DATABASE_URL": "postgresql://x"}


def test_what_is_not_set_has_its_default() -> None:
    settings = read_settings(Sample, GIVEN)

    assert settings == Sample(database_url="postgresql://x")


def test_what_is_set_is_read_as_its_type() -> None:
    said = {"ASSAY_POOL_SIZE": "7", "ASSAY_PAUSE_SECONDS": "2", "ASSAY_VERBOSE": "true", "ASSAY_LOG_FORMAT": "console"}

    settings = read_settings(Sample, GIVEN | said)

    assert settings == Sample(
        database_url="postgresql://x", pool_size=7, pause_seconds=2.0, verbose=True, log_format="console"
    )


def test_an_empty_variable_counts_as_not_set() -> None:
    assert read_settings(Sample, GIVEN | {"ASSAY_POOL_SIZE": ""}).pool_size == 10


def test_a_missing_variable_is_named() -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL is not set"):
        read_settings(Sample, {"ASSAY_DATABASE_URL": "postgresql://x", "DATABASE_URL": ""})


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("ASSAY_POOL_SIZE", "0"), ("ASSAY_POOL_SIZE", "21"), ("ASSAY_POOL_SIZE", "many"), ("ASSAY_POOL_SIZE", "1.5"),
        ("ASSAY_PAUSE_SECONDS", "soon"), ("ASSAY_VERBOSE", "perhaps"), ("ASSAY_LOG_FORMAT", "xml"),
    ],
)  # fmt: skip
def test_an_unusable_variable_is_named(variable: str, text: str) -> None:
    with pytest.raises(SettingsError, match=variable):
        read_settings(Sample, GIVEN | {variable: text})


def test_every_fault_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as refusal:
        read_settings(Sample, {"ASSAY_POOL_SIZE": "0", "ASSAY_LOG_FORMAT": "xml"})

    for variable in ("DATABASE_URL", "ASSAY_POOL_SIZE", "ASSAY_LOG_FORMAT"):
        assert variable in str(refusal.value)


def test_only_the_two_urls_have_no_prefix() -> None:
    assert [variable_of(field) for field in ("database_url", "redis_url", "api_port")] == [
        "DATABASE_URL", "REDIS_URL", "ASSAY_API_PORT",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", [IngestSettings, WorkerSettings, ApiSettings])
def test_every_setting_is_described_and_its_default_is_allowed(kind: type[Struct]) -> None:
    for field in msgspec.structs.fields(kind):
        [described] = [note for note in field.type.__metadata__ if isinstance(note, Meta)]
        assert described.description
        if not field.required:
            assert msgspec.convert(field.default, field.type) == field.default


@pytest.mark.parametrize("kind", [IngestSettings, WorkerSettings, ApiSettings])
def test_a_service_starts_with_its_urls_alone(kind: type[Struct]) -> None:
    found = read_settings(kind, {"DATABASE_URL": "postgresql://x", "REDIS_URL": "redis://x"})

    assert msgspec.structs.asdict(found)["redis_url"] == "redis://x"

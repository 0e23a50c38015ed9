from __future__ import annotations

from pathlib import Path

import pytest

from trade_platform.domain.defences import Defence
from trade_platform.settings import Settings, SettingsError, settings_from, variables


def test_an_empty_environment_means_the_defaults() -> None:
    assert settings_from({}) == Settings()
    assert settings_from({"PATH": "/bin", "HOME": "/"}) == Settings()


def test_variables_become_typed_values() -> None:
    settings = settings_from({"DATA_FOLDER": "data", "METRICS_PORT": "9100", "LOG_FORMAT": "text"})
    assert settings.data_folder == Path("data")
    assert settings.metrics_port == 9100
    assert settings.log_format == "text"


def test_a_file_may_hold_the_value_and_a_variable_wins_over_it(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("redis://file\n")
    assert settings_from({"REDIS_URL_FILE": str(file)}).redis_url == "redis://file"
    both = {"REDIS_URL_FILE": str(file), "REDIS_URL": "redis://variable"}
    assert settings_from(both).redis_url == "redis://variable"


def test_hosts_are_those_of_the_exchange() -> None:
    settings = settings_from({"DERIBIT_WEBSOCKET_URL": "ws://a", "DERIBIT_REST_URL": "http://b"})
    assert settings.hosts("deribit") == ("ws://a", "http://b")
    assert settings.hosts("binance_spot") == ("", "")


def test_an_exchange_that_is_new_has_hosts_without_a_setting_of_its_own() -> None:
    assert settings_from({"MTGOX_WEBSOCKET_URL": "ws://a"}).hosts("mtgox") == ("ws://a", "")


def test_what_means_something_is_known_by_name() -> None:
    meant = ["DATABASE_URL_FILE", "INSTRUMENTS_FILE", "DERIBIT_REST_URL", "WITHOUT"]
    assert variables(dict.fromkeys([*meant, "URLS", "PATH", "HOME", "X_FILE"], "")) == meant


def test_defences_are_named_by_commas() -> None:
    assert settings_from({}).without == frozenset()
    left_out = settings_from({"WITHOUT": "spool, catch_up"}).without
    assert left_out == {Defence.SPOOL, Defence.CATCH_UP}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("WITHOUT", "spool,luck"),
        ("METRICS_PORT", "many"),
        ("FIRST_DAY", "2025-02-30"),
        ("METRICS_PORT", "70000"),
        ("METRICS_PORT", "-1"),
        ("METRICS_PORT", ""),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
        ("SPOOL_MEGABYTES", "0"),
        ("BUFFER_RECORDS", "1.5"),
        ("REDIS_MEGABYTES", "1"),
        ("BUDGET_SHARE", "0"),
        ("BUDGET_SHARE", "1.5"),
        ("CONNECTION_MAXIMUM_AGE_SECONDS", "-1"),
    ],
)
def test_a_bad_setting_is_one_sentence_that_names_it(variable: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings_from({variable: value})
    said = str(caught.value)
    assert said.startswith(f"{variable}={value!r} is not usable")
    assert "correct or unset it" in said
    assert "$" not in said
    assert "\n" not in said


def test_a_defence_that_there_is_not_is_answered_with_those_there_are() -> None:
    with pytest.raises(SettingsError) as caught:
        settings_from({"WITHOUT": "nonsense"})
    assert all(f"{defence}" in str(caught.value) for defence in Defence)


def test_a_url_of_another_kind_is_refused_without_showing_its_password() -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL must begin with postgresql://") as caught:
        settings_from({"DATABASE_URL": "mysql://user:hidden@host/x"})
    assert "hidden" not in str(caught.value)


def test_dagster_s_database_is_named_as_the_platform_s() -> None:
    given = settings_from({"DAGSTER_DATABASE_URL": "postgresql+psycopg2://dagster@host/dagster"})
    assert given.dagster_database_url == "postgresql://dagster@host/dagster"
    with pytest.raises(SettingsError, match="DAGSTER_DATABASE_URL must begin with postgresql://"):
        settings_from({"DAGSTER_DATABASE_URL": "sqlite:///x"})
    with pytest.raises(SettingsError, match="WEB_PORT"):
        settings_from({"WEB_PORT": "70000"})


@pytest.mark.parametrize("url", ["redis://:hid/den@host:1/0", "redis://host:hid/0", "redis://[hid/0"])
def test_a_url_that_cannot_be_read_is_refused_likewise(url: str) -> None:
    assert settings_from({"REDIS_URL": "unix:///a/socket?db=1"}).redis_url
    with pytest.raises(SettingsError, match="REDIS_URL is no Redis URL: set it to") as caught:
        settings_from({"REDIS_URL": url})
    assert "hid" not in str(caught.value)


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_an_unreadable_file_is_one_sentence(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=r"DATABASE_URL_FILE names .* cannot be read .*: check"):
        settings_from({"DATABASE_URL_FILE": str(file)})

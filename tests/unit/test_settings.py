"""Settings: one table, read strictly, with flags above the environment, and errors of one line."""

import dataclasses
from typing import get_type_hints

import pytest
from pecia_service.settings import CLIENT_VARIABLES, MEBIBYTE, SETTINGS, Setting, Settings, SettingsError

BY_NAME = {setting.name: setting for setting in SETTINGS}

CERTIFICATE = {"tls_certificate": "server.pem", "tls_key": "server.key"}

BOUNDS = [
    ("workers", "1", "64", ["0", "65"]),
    ("accept_at_once", "1", "1024", ["0", "1025"]),
    ("credential_seconds", "0", "3600", ["-1", "3601"]),
    ("credential_outage_seconds", "0", "86400", ["-1", "86401"]),
    ("database_pool_size", "1", "1000", ["0", "1001"]),
    ("database_connect_timeout", "0.1", "300", ["0.09", "300.1"]),
    ("database_statement_timeout", "0.1", "3600", ["0.09", "3600.1"]),
    ("database_statement_cache", "0", "10000", ["-1", "10001"]),
    ("max_request_bytes", str(MEBIBYTE // 16), str(1024 * MEBIBYTE), ["65535", str(1024 * MEBIBYTE + 1)]),
    (
        "max_response_bytes",
        str(8 * MEBIBYTE),
        str(1024 * MEBIBYTE),
        [str(8 * MEBIBYTE - 1), str(1024 * MEBIBYTE + 1)],
    ),
    ("max_prompt_bytes", "1024", str(32 * MEBIBYTE), ["1023", str(32 * MEBIBYTE + 1)]),
    ("stream_in_flight", "1", "10000", ["0", "10001"]),
    ("max_in_flight", "1", "1000000", ["0", "1000001"]),
    ("max_in_flight_per_caller", "1", "1000000", ["0", "1000001"]),
    ("max_answer_bytes", str(MEBIBYTE), str(2**40), [str(MEBIBYTE - 1), str(2**40 + 1)]),
    ("max_connections", "1", "1000000", ["0", "1000001"]),
    ("handshake_seconds", "0.1", "300", ["0.09", "300.1"]),
    ("max_streams_per_connection", "1", "1000000", ["0", "1000001"]),
    ("default_deadline", "0.1", "86400", ["0.09", "86400.1"]),
    ("default_stream_deadline", "0.1", "604800", ["0.09", "604800.1"]),
    ("connection_age", "0", "604800", ["-1", "604801"]),
    ("connection_age_grace", "1", "604800", ["0.9", "604801"]),
    ("keepalive_seconds", "1", "86400", ["0.9", "86401"]),
    ("keepalive_timeout", "1", "3600", ["0.9", "3601"]),
    ("keepalive_min_ping", "0", "3600", ["-1", "3601"]),
    ("cache_entries", "1", "10000000", ["0", "10000001"]),
    ("cache_bytes", "0", str(2**40), ["-1", str(2**40 + 1)]),
    ("label_staleness", "0", "3600", ["-1", "3601"]),
    ("audit_spool_bytes", str(MEBIBYTE), str(2**40), [str(MEBIBYTE - 1), str(2**40 + 1)]),
    ("audit_segment_bytes", "65536", str(2**30), ["65535", str(2**30 + 1)]),
    ("audit_queue_records", "1", "10000000", ["0", "10000001"]),
    ("audit_queue_bytes", str(MEBIBYTE), str(2**40), [str(MEBIBYTE - 1), str(2**40 + 1)]),
    ("audit_batch_records", "1", "10000", ["0", "10001"]),
    ("audit_retry_seconds", "0", "86400", ["-1", "86401"]),
    ("audit_settle_seconds", "0", "3600", ["-1", "3601"]),
    ("audit_retention_days", "0", "36500", ["-1", "36501"]),
    ("erasure_seconds", "0.1", "3600", ["0.09", "3600.1"]),
    ("shutdown_grace", "0", "3600", ["-0.1", "3600.1"]),
    ("slow_request_seconds", "0", "3600", ["-0.1", "3600.1"]),
]


def refusal(environment: dict[str, str], flags: dict[str, str] | None = None) -> str:
    """Return the message that settings are refused with."""
    with pytest.raises(SettingsError) as caught:
        Settings.load(environment, flags)
    return str(caught.value)


def load_one(name: str, text: str) -> object:
    """Return one setting as it is read from its variable."""
    return getattr(Settings.load({BY_NAME[name].env: text}), name)


def test_table_and_fields_agree() -> None:
    """Every row of the table is a field, in the same order, and the other way round."""
    fields = [field.name for field in dataclasses.fields(Settings)]
    assert fields == [setting.name for setting in SETTINGS]


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_defaults_are_valid_and_typed(setting: Setting) -> None:
    """Each default parses, to the type of its field."""
    value = setting.parse(setting.default)
    assert get_type_hints(Settings)[setting.name] is type(value)
    assert value == getattr(Settings.load({}), setting.name)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_each_is_explained(setting: Setting) -> None:
    """Help ends as a sentence does; names follow from the setting's."""
    assert setting.help.endswith(".")
    assert (f"PECIA_{setting.name.upper()}", f"--{setting.name.replace('_', '-')}") == (
        setting.env,
        setting.flag,
    )


def test_every_number_has_its_bounds_tested() -> None:
    """A numeric setting without a row in the table of bounds is noticed."""
    hints = get_type_hints(Settings)
    numbers = {setting.name for setting in SETTINGS if hints[setting.name] in (int, float)}
    assert numbers == {name for name, *_ in BOUNDS}


@pytest.mark.parametrize(("name", "least", "most", "_"), BOUNDS, ids=[name for name, *_ in BOUNDS])
def test_bounds_are_allowed(name: str, least: str, most: str, _: object) -> None:
    """The least and the greatest value are values."""
    roomy = {"max_response_bytes": str(1024 * MEBIBYTE)} if name == "max_prompt_bytes" else {}
    loaded = [getattr(Settings.load({}, {**roomy, name: text}), name) for text in (least, most)]
    assert [float(least), float(most)] == loaded


def test_a_response_has_room_for_the_largest_prompt() -> None:
    """A prompt comes whole and in parts: a server whose answers could not hold it does not start."""
    prompt = {"max_prompt_bytes": str(8 * MEBIBYTE)}
    enough = Settings.load({}, {**prompt, "max_response_bytes": str(17 * MEBIBYTE)})
    with pytest.raises(SettingsError, match=f"PECIA_MAX_RESPONSE_BYTES must be at least {17 * MEBIBYTE}:"):
        Settings.load({}, {**prompt, "max_response_bytes": str(17 * MEBIBYTE - 1)})
    assert enough.max_response_bytes == 17 * MEBIBYTE


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (name, text)
        for name, _, _, beyond in BOUNDS
        for text in [*beyond, "", " ", "many", "1e999", "nan", "0x10", "9" * 5000, "\u0663"]
        if not (text == "\u0663" and get_type_hints(Settings)[name] is float)
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_beyond_bounds_is_refused(name: str, text: str) -> None:
    """What is beyond, or no number at all, is refused in one line with variable and range."""
    message = refusal({BY_NAME[name].env: text})
    assert message.startswith(f"{BY_NAME[name].env} must be a ")
    assert " from " in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1:50051", "[::1]:0", "localhost:1", "127.0.0.2:1", "127.255.255.254:65535", " [0::1]:7 "],
)
def test_listens_on_loopback(address: str) -> None:
    """Every form of a loopback address is an address."""
    assert address.strip() == load_one("listen", address)


EVERYWHERE = [
    *("0.0.0.0:1", "[::]:1", "8.8.8.8:50051", "192.168.0.1:1", "10.0.0.1:1", "[2001:db8::1]:1"),
    *("[fe80::1]:1", "[::ffff:8.8.8.8]:1"),
]


@pytest.mark.parametrize("address", EVERYWHERE)
@pytest.mark.parametrize(
    "missing",
    [{}, CERTIFICATE, {"authentication": "required"}, {"insecure_listen": "false"}],
    ids=["both", "authentication", "TLS", "the word for it"],
)
def test_beyond_loopback_listens_nobody_without_security(address: str, missing: dict[str, str]) -> None:
    """TLS alone lets everybody do everything, a key alone is read by whoever listens on the way."""
    message = refusal({}, {"listen": address, **missing})
    assert message == (
        f"PECIA_LISTEN is {address}, which other machines can reach: set PECIA_TLS_CERTIFICATE, "
        "PECIA_TLS_KEY and PECIA_AUTHENTICATION=required, listen on a loopback address such as "
        "127.0.0.1:50051, or say PECIA_INSECURE_LISTEN=true"
    )


@pytest.mark.parametrize("address", EVERYWHERE)
@pytest.mark.parametrize(
    "given",
    [{**CERTIFICATE, "authentication": "required"}, {"insecure_listen": "true"}],
    ids=["secure", "insecure in so many words"],
)
def test_beyond_loopback_listens_who_is_secure_or_says_otherwise(address: str, given: dict[str, str]) -> None:
    """Every address of IPv4 and IPv6 is one then."""
    assert address == Settings.load({}, {"listen": address, **given}).listen


@pytest.mark.parametrize(
    "address",
    [
        *("", "127.0.0.1", "127.0.0.1:", "127.0.0.1:-1", "127.0.0.1:65536", "127.0.0.1:x", "[::1]"),
        *("::1", "::1:5005", "0::1:1", "[::1:1", "::1]:1", "127.0.0.1:\u0663", "127.0.0.1:1:2"),
        *("unix:/tmp/socket:1", "dns:///127.0.0.1:1", "127.0.0.1:000001", "127.0.0.1:1\n127.0.0.1:2"),
        *("example.org:1", "localhost.example.org:1", "host:1", "2130706433:1", "127.1:1", "0127.0.0.1:1"),
        *("[localhost]:1", "[127.0.0.1]:1", ":1", "[]:1"),
    ],
)
@pytest.mark.parametrize("name", ["listen", "metrics_listen"])
def test_addresses_have_a_host_and_a_port(name: str, address: str) -> None:
    """What is not IP:PORT is refused; an IPv6 address without brackets would be another one.

    Only the address of what can be left out may be empty.
    """
    if name == "metrics_listen" and not address:
        assert not load_one(name, address)
        return
    variable = BY_NAME[name].env
    port = 9464 if name == "metrics_listen" else 50051
    expected = f"{variable} must be HOST:PORT such as 127.0.0.1:{port}, 0.0.0.0:{port} or [::1]:{port}"
    assert expected == refusal({variable: address, "PECIA_INSECURE_LISTEN": "true"})


@pytest.mark.parametrize("address", ["0.0.0.0:9464", " [::1]:0 "])
def test_metrics_may_be_listened_to_from_anywhere(address: str) -> None:
    """They have no text of anybody."""
    assert address.strip() == load_one("metrics_listen", address)


@pytest.mark.parametrize("name", ["tls_certificate", "tls_key"])
def test_a_certificate_and_its_key_come_together(name: str) -> None:
    """One without the other is a mistake, not a server without TLS."""
    assert refusal({BY_NAME[name].env: CERTIFICATE[name]}) == (
        "PECIA_TLS_CERTIFICATE and PECIA_TLS_KEY belong together: give both files, or neither"
    )


def test_client_certificates_need_tls() -> None:
    """Who asks for them without a certificate would get none, and everybody in."""
    assert refusal({"PECIA_TLS_CLIENT_CA": "clients.pem"}) == (
        "PECIA_TLS_CLIENT_CA needs PECIA_TLS_CERTIFICATE and PECIA_TLS_KEY: "
        "client certificates come with TLS only"
    )


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({}, (False, False)),
        (CERTIFICATE, (True, False)),
        ({"authentication": "required"}, (False, True)),
        ({**CERTIFICATE, "tls_client_ca": "clients.pem", "authentication": "required"}, (True, True)),
    ],
)
def test_settings_tell_whether_a_server_is_secure(flags: dict[str, str], expected: tuple[bool, bool]) -> None:
    """TLS and authentication are two things, each of which a server on loopback may have."""
    settings = Settings.load({}, flags)
    assert expected == (settings.tls, settings.authenticated)


@pytest.mark.parametrize("name", ["tls_certificate", "tls_key", "tls_client_ca", "audit_spool_dir"])
def test_paths(name: str) -> None:
    """Any text is one that a file system could have."""
    settings = Settings.load({}, {**CERTIFICATE, name: " /etc/pecia/a file "})
    assert "/etc/pecia/a file" == getattr(settings, name)
    assert refusal({BY_NAME[name].env: "a\0b"}) == f"{BY_NAME[name].env} must be a path"


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///pecia.db",
        "sqlite:////var/pecia.db",
        "postgresql://u:p@h/d",
        "postgres://h/d",
        " sqlite:///a ",
    ],
)
def test_database_urls(url: str) -> None:
    """SQLite and PostgreSQL are known."""
    assert url.strip() == load_one("database_url", url)


@pytest.mark.parametrize("url", ["", "mysql://u:secret@h/d", "sqlite://", "pecia.db", "secret"])
def test_other_databases_are_refused(url: str) -> None:
    """Any other URL is refused, without repeating it: it can hold a password."""
    message = refusal({"PECIA_DATABASE_URL": url})
    forms = "give sqlite:///path/to/file or postgresql://user:password@host:port/database"
    assert message in {
        f"PECIA_DATABASE_URL has an unknown scheme; {forms}",
        f"PECIA_DATABASE_URL has fewer than three slashes before its path; {forms}",
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [(text, True) for text in ("1", "true", "Yes", " ON ")]
    + [(text, False) for text in ("0", "FALSE", "no", "off")],
)
def test_switches(text: str, expected: bool) -> None:
    """A switch is on or off in the usual words."""
    assert expected is load_one("reflection", text)


@pytest.mark.parametrize(
    "name", [setting.name for setting in SETTINGS if get_type_hints(Settings)[setting.name] is bool]
)
@pytest.mark.parametrize("text", ["", "2", "maybe", "truee"])
def test_no_switches(name: str, text: str) -> None:
    """Any other word is refused."""
    assert f"{BY_NAME[name].env} must be true or false" == refusal({BY_NAME[name].env: text})


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        ("authentication", ["none", "required"]),
        ("audit_sink", ["database", "null"]),
        ("audit_durability", ["memory", "spool", "fsync", "commit"]),
        ("audit_full", ["drop", "refuse"]),
        ("log_level", ["debug", "info", "warning", "error"]),
        ("log_format", ["auto", "json", "console"]),
    ],
)
def test_choices(name: str, choices: list[str]) -> None:
    """Each choice is one, in any case; anything else is refused with all that there are."""
    assert choices == [load_one(name, f" {choice.upper()} ") for choice in choices]
    expected = f"{BY_NAME[name].env} must be one of {', '.join(choices)}"
    assert [expected] * 2 == [refusal({BY_NAME[name].env: text}) for text in ("", "other")]


def test_flags_come_before_the_environment() -> None:
    """A flag wins over its variable, a variable over the default; other variables still count."""
    settings = Settings.load(
        {"PECIA_CACHE_ENTRIES": "5", "PECIA_STREAM_IN_FLIGHT": "6"},
        {"cache_entries": "7", "listen": "[::1]:0"},
    )
    assert (7, 6, "[::1]:0") == (settings.cache_entries, settings.stream_in_flight, settings.listen)


def test_errors_name_where_the_value_came_from() -> None:
    """A bad flag is named as a flag, a bad variable as a variable."""
    assert [
        "--cache-entries must be a whole number from 1 to 10000000",
        "PECIA_CACHE_ENTRIES must be a whole number from 1 to 10000000",
    ] == [
        refusal({"PECIA_CACHE_ENTRIES": "5"}, {"cache_entries": "0"}),
        refusal({"PECIA_CACHE_ENTRIES": "0"}, {"listen": "[::1]:0"}),
    ]


@pytest.mark.parametrize("name", ["PECIA_LISTN", "PECIA_", "PECIA_listen", "PECIA_DATABASE", "PECIA_TEST_X"])
def test_unknown_variables_are_refused(name: str) -> None:
    """A variable of ours that is no setting is a mistake, most likely of spelling."""
    assert f"{name} is not a setting; see pecia serve --help" == refusal({name: "x"})


def test_other_variables_are_left_alone() -> None:
    """Variables of the client and of other programs are none of the server's."""
    environment = {**dict.fromkeys(CLIENT_VARIABLES, "x"), "PATH": "x", "XPECIA_LISTN": "x"}
    assert Settings.load({}) == Settings.load(environment)


def test_settings_do_not_change() -> None:
    """Settings are frozen."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings.load({}).listen = "0.0.0.0:1"  # type: ignore[misc]  # that is what must fail


def test_a_password_is_not_shown() -> None:
    """Wherever settings end up: in a traceback, in a debugger, in a log."""
    settings = Settings.load({}, {"database_url": "postgresql://pecia:mauve@db/pecia"})
    assert "mauve" not in repr(settings)

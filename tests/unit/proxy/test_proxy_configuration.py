"""kube-proxy's configuration: file, flags, precedence, defaults, what is refused and written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from clusterip.proxy.config import ConfigurationError, KubeProxyConfiguration
from clusterip.proxy.config.durations import Duration
from clusterip.proxy.config.file import decode, write
from clusterip.proxy.config.flags import ACTIONS, LOGGING, SETTINGS
from clusterip.proxy.config.load import load
from clusterip.proxy.config.types import API_VERSION, KIND
from clusterip.proxy.options import Options

MODES = ("nftables", "iptables", "ipvs")


def loaded(**flags: str) -> Options:
    return load({name.replace("_", "-"): value for name, value in flags.items()}, MODES)


def config_of(**flags: str) -> KubeProxyConfiguration:
    return loaded(**flags).config


def from_file(directory: Path, text: str | dict[str, Any], **flags: str) -> Options:
    if isinstance(text, dict):
        text = yaml.safe_dump({"apiVersion": API_VERSION, "kind": KIND, **text})
    file = directory / "config.conf"
    file.write_text(text)
    return loaded(config=str(file), **flags)


KUBEADM = """\
apiVersion: kubeproxy.config.k8s.io/v1alpha1
bindAddress: 0.0.0.0
bindAddressHardFail: false
clientConnection:
  acceptContentTypes: ""
  burst: 0
  contentType: ""
  kubeconfig: /var/lib/kube-proxy/kubeconfig.conf
  qps: 0
clusterCIDR: 10.244.0.0/16
configSyncPeriod: 0s
conntrack: {maxPerCore: null, min: null, tcpBeLiberal: false, tcpCloseWaitTimeout: null,
  tcpEstablishedTimeout: null, udpStreamTimeout: 0s, udpTimeout: 0s}
detectLocal: {bridgeInterface: "", interfaceNamePrefix: ""}
detectLocalMode: ""
enableProfiling: false
healthzBindAddress: ""
hostnameOverride: ""
iptables: {localhostNodePorts: null, masqueradeAll: true, masqueradeBit: 9, minSyncPeriod: 0s, syncPeriod: 0s}
ipvs: {excludeCIDRs: null, minSyncPeriod: 0s, scheduler: "", strictARP: false, syncPeriod: 0s,
  tcpFinTimeout: 0s, tcpTimeout: 0s, udpTimeout: 0s}
kind: KubeProxyConfiguration
logging: {flushFrequency: 0, verbosity: 0,
  options: {json: {infoBufferSize: "0"}, text: {infoBufferSize: "0"}}}
metricsBindAddress: ""
mode: ""
nftables: {masqueradeAll: false, masqueradeBit: null, minSyncPeriod: 0s, syncPeriod: 0s}
nodePortAddresses: null
oomScoreAdj: null
portRange: ""
showHiddenMetricsForVersion: ""
winkernel: {enableDSR: false, forwardHealthCheckVip: false, networkName: "",
  rootHnsEndpointName: "", sourceVip: ""}
"""


def test_kubeadms_file(tmp_path: Path) -> None:
    options = from_file(tmp_path, KUBEADM)
    config = options.config
    assert options.warnings == ()
    assert (config.mode, config.detectLocalMode) == ("nftables", "ClusterCIDR")
    assert config.clientConnection.kubeconfig == "/var/lib/kube-proxy/kubeconfig.conf"
    assert config.cluster_cidrs == ["10.244.0.0/16"]
    assert (config.healthzBindAddress, config.metricsBindAddress) == ("0.0.0.0:10256", "127.0.0.1:10249")
    assert config.nodePortAddresses == ["primary"]
    assert (config.conntrack.maxPerCore, config.conntrack.min) == (32768, 131072)
    assert str(config.conntrack.tcpEstablishedTimeout) == "24h0m0s"
    assert str(config.conntrack.tcpCloseWaitTimeout) == "1h0m0s"
    assert (config.oomScoreAdj, str(config.configSyncPeriod)) == (-999, "15m0s")
    assert str(config.nftables.syncPeriod) == "30s"
    assert config.nftables.minSyncPeriod == Duration(0)


def test_who_let_kube_proxy_choose_had_its_iptables_mode(tmp_path: Path) -> None:
    chosen = from_file(tmp_path, KUBEADM).config.nftables
    assert (chosen.masqueradeAll, chosen.masqueradeBit) == (True, 9)
    said = from_file(tmp_path, {"mode": "nftables", "iptables": {"masqueradeAll": True, "masqueradeBit": 9}})
    assert (said.config.nftables.masqueradeAll, said.config.nftables.masqueradeBit) == (False, 14)


def test_ipv6_addresses_are_served_on_ipv6(tmp_path: Path) -> None:
    config = from_file(tmp_path, {"bindAddress": "::"}).config
    assert (config.healthzBindAddress, config.metricsBindAddress) == ("[::]:10256", "[::1]:10249")
    config = from_file(tmp_path, {"healthzBindAddress": "::1", "metricsBindAddress": "0.0.0.0"}).config
    assert (config.healthzBindAddress, config.metricsBindAddress) == ("[::1]:10256", "0.0.0.0:10249")


def test_the_file_wins_over_flags_but_for_a_few(tmp_path: Path) -> None:
    options = from_file(
        tmp_path,
        {"mode": "nftables", "hostnameOverride": "file", "logging": {"verbosity": 1}},
        hostname_override=" Node-1 ",
        v="5",
        cluster_cidr="10.0.0.0/8",
        masquerade_all="true",
        cleanup_kube_proxy="true",
        master="https://api:6443",
    )
    config = options.config
    assert (config.hostnameOverride, config.logging.verbosity) == ("node-1", 5)
    assert (config.clusterCIDR, config.nftables.masqueradeAll) == ("", False)
    assert (options.cleanup_kube_proxy, options.cleanup, options.master) == (True, False, "https://api:6443")
    assert options.warnings == ("flags that do not count beside --config: --masquerade-all, --cluster-cidr",)


def test_unknown_and_repeated_fields_are_told_and_left_out(tmp_path: Path) -> None:
    text = (
        f"apiVersion: {API_VERSION}\nkind: {KIND}\nmode: ipvs\nsurprise: 1\n"
        "conntrack: {max: 5, min: 6}\nmode: iptables\n"
    )
    options = from_file(tmp_path, text)
    assert (options.config.mode, options.config.conntrack.min) == ("iptables", 6)
    (warning,) = options.warnings
    for part in (
        'unknown field "surprise"',
        'unknown field "conntrack.max"',
        'line 6: key "mode" already set',
    ):
        assert part in warning


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not YAML"),
        ("", "but nothing"),
        ("[1]", "but a list"),
        ("kind: KubeProxyConfiguration", "apiVersion is missing"),
        ("{apiVersion: v1, kind: Pod}", "this is a Pod of v1"),
        (f"{{apiVersion: {API_VERSION}, kind: {KIND}, mode: [1]}}", r"\$.mode"),
        (f"{{apiVersion: {API_VERSION}, kind: {KIND}, configSyncPeriod: 1x}}", 'invalid duration "1x"'),
        (f"{{apiVersion: {API_VERSION}, kind: {KIND}, conntrack: {{min: true}}}}", r"\$.conntrack.min"),
    ],
)
def test_files_that_are_none(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        decode(text.encode())


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(ConfigurationError, match="cannot read the configuration /nowhere: No such file"):
        loaded(config="/nowhere")


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"mode": "nfables"}, 'mode: Invalid value: "nfables": must be nftables, iptables, ipvs or blank'),
        ({"nftables": {"masqueradeBit": 32}}, "nftables.masqueradeBit: Invalid value: 32"),
        ({"iptables": {"masqueradeBit": -1}}, "iptables.masqueradeBit"),
        (
            {"oomScoreAdj": 1001},
            r"oomScoreAdj: Invalid value: 1001: must be within the range \[-1000, 1000\]",
        ),
        ({"conntrack": {"maxPerCore": -1}}, "conntrack.maxPerCore"),
        ({"conntrack": {"udpTimeout": "-1s"}}, 'conntrack.udpTimeout: Invalid value: "-1s"'),
        ({"configSyncPeriod": "-1s"}, "configSyncPeriod"),
        (
            {"nftables": {"syncPeriod": "5s", "minSyncPeriod": "6s"}},
            "greater than or equal to nftables.minSync",
        ),
        ({"clientConnection": {"burst": -1}}, "clientConnection.burst"),
        ({"bindAddress": "here"}, "bindAddress"),
        ({"healthzBindAddress": "1:2:3"}, 'healthzBindAddress: Invalid value: "1:2:3": must be IP:port'),
        ({"metricsBindAddress": "host:1"}, "must be a valid IP"),
        ({"metricsBindAddress": "127.0.0.1:0"}, "must be a valid port"),
        ({"nodePortAddresses": ["primary", "10.0.0.0/8"]}, "can't use both 'primary' and CIDRs"),
        ({"nodePortAddresses": ["10.0.0.1"]}, "nodePortAddresses"),
        ({"detectLocalMode": "Guess"}, "detectLocalMode"),
        ({"detectLocalMode": "BridgeInterface"}, "detectLocal.bridgeInterface"),
        ({"detectLocalMode": "InterfaceNamePrefix"}, "detectLocal.interfaceNamePrefix"),
        ({"clusterCIDR": "10.0.0.0/8,10.1.0.0/16"}, "dual-stack pair"),
        ({"clusterCIDR": "10.0.0.0/99"}, "must be a valid CIDR block"),
        ({"mode": "ipvs", "ipvs": {"excludeCIDRs": ["x"]}}, r"ipvs.excludeCIDRs\[0\]"),
        ({"logging": {"format": "xml"}}, "Unsupported log format"),
        ({"logging": {"vmodule": [{"filePattern": "a=b", "verbosity": 1}]}}, "logging.vmodule"),
        ({"featureGates": {"NFTablesProxyMode": False}}, "feature is locked to true"),
        ({"showHiddenMetricsForVersion": "new"}, "showHiddenMetricsForVersion"),
    ],
)
def test_settings_that_cannot_be_used(tmp_path: Path, tree: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        from_file(tmp_path, tree)


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"oomScoreAdj.*; bindAddress"):
        from_file(tmp_path, {"oomScoreAdj": 4000, "bindAddress": "x"})


def test_modes_that_are_not_here() -> None:
    with pytest.raises(ConfigurationError, match="there is no such data plane here; use nftables"):
        load({"proxy-mode": "ipvs"}, ("nftables",))


def test_flags_set_their_fields() -> None:
    given = {
        "proxy_mode": "nftables",
        "kubeconfig": "/k",
        "cluster_cidr": "10.0.0.0/8,fd00::/8",
        "masquerade_all": "true",
        "nodeport_addresses": "10.0.0.0/8, 192.0.2.0/24",
        "conntrack_tcp_timeout_established": "1h30m",
        "conntrack_max_per_core": "0",
        "oom_score_adj": "-5",
        "iptables_min_sync_period": "250ms",
        "feature_gates": "A=true,B=false",
        "bind_address_hard_fail": "true",
    }
    options = loaded(**given)
    config = options.config
    assert config.clientConnection.kubeconfig == "/k"
    assert config.cluster_cidrs == ["10.0.0.0/8", "fd00::/8"]
    assert config.nftables.masqueradeAll
    assert config.nodePortAddresses == ["10.0.0.0/8", "192.0.2.0/24"]
    assert str(config.conntrack.tcpEstablishedTimeout) == "1h30m0s"
    assert (config.conntrack.maxPerCore, config.oomScoreAdj) == (0, -5)
    assert config.nftables.minSyncPeriod.seconds == 0.25
    assert config.bindAddressHardFail
    assert options.warnings == ("feature gates that change nothing in this proxy: A, B",)


def test_what_was_asked_for_and_cannot_be_had_is_told() -> None:
    (warning,) = loaded(profiling="true").warnings
    assert "there are no profiles" in warning


def test_flags_of_old() -> None:
    config = config_of(healthz_port="0", metrics_port="99")
    assert (config.healthzBindAddress, config.metricsBindAddress) == ("", "127.0.0.1:99")
    assert config_of(metrics_bind_address="::").metricsBindAddress == "[::]:10249"
    assert config_of(healthz_bind_address="").healthzBindAddress == ""
    assert config_of(iptables_masquerade_bit="3").nftables.masqueradeBit == 3
    assert config_of(iptables_masquerade_bit="3", proxy_mode="nftables").nftables.masqueradeBit == 14


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"oom_score_adj": "much"}, 'invalid argument "much" for "--oom-score-adj" flag'),
        ({"masquerade_all": "perhaps"}, "not true or false"),
        ({"conntrack_udp_timeout": "3"}, 'invalid duration "3"'),
        ({"feature_gates": "A"}, "expect string=bool"),
        ({"hostname_override": " "}, "empty hostname-override"),
        ({"detect_local_mode": "BridgeInterface"}, "detectLocal.bridgeInterface"),
    ],
)
def test_flags_that_cannot_be_used(flags: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        loaded(**flags)


def test_a_mistake_in_a_flag_is_told_where_it_does_not_count(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="oom-score-adj"):
        from_file(tmp_path, {}, oom_score_adj="much")


UPSTREAMS_FLAGS = """
bind-address bind-address-hard-fail cleanup cluster-cidr config config-sync-period
conntrack-max-per-core conntrack-min conntrack-tcp-be-liberal conntrack-tcp-timeout-close-wait
conntrack-tcp-timeout-established conntrack-udp-timeout conntrack-udp-timeout-stream
detect-local-mode feature-gates healthz-bind-address hostname-override init-only
iptables-localhost-nodeports iptables-masquerade-bit iptables-min-sync-period iptables-sync-period
ipvs-exclude-cidrs ipvs-min-sync-period ipvs-scheduler ipvs-strict-arp ipvs-sync-period
ipvs-tcp-timeout ipvs-tcpfin-timeout ipvs-udp-timeout kube-api-burst kube-api-content-type
kube-api-qps kubeconfig log-flush-frequency log-json-info-buffer-size log-json-split-stream
log-text-info-buffer-size log-text-split-stream logging-format masquerade-all master
metrics-bind-address nodeport-addresses oom-score-adj pod-bridge-interface
pod-interface-name-prefix profiling proxy-mode show-hidden-metrics-for-version v vmodule
write-config-to healthz-port metrics-port
"""


def test_every_flag_of_kube_proxy_is_there() -> None:
    names = {flag.name for flag in (*LOGGING, *ACTIONS, *SETTINGS)}
    upstream = set(UPSTREAMS_FLAGS.split())
    assert names - upstream == {"cleanup-kube-proxy", "ebpf-cgroup"}
    assert upstream <= names


def test_what_is_written_reads_the_same(tmp_path: Path) -> None:
    config = config_of(
        cluster_cidr="10.0.0.0/8", feature_gates="A=true", conntrack_udp_timeout="90s", vmodule="x=3"
    )
    write(config, str(tmp_path / "written"))
    again = loaded(config=str(tmp_path / "written"))
    assert again.config == config
    tree = yaml.safe_load((tmp_path / "written").read_text())
    assert (tree["kind"], tree["apiVersion"]) == (KIND, API_VERSION)
    assert tree["conntrack"]["udpTimeout"] == "1m30s"
    assert tree["logging"]["verbosity"] == 0
    with pytest.raises(ConfigurationError, match="cannot write"):
        write(config, "/nowhere/at/all")


@pytest.mark.parametrize(
    ("text", "nanoseconds", "shown"),
    [
        ("0", 0, "0s"),
        ("1h", 3_600_000_000_000, "1h0m0s"),
        ("1h2m3.5s", 3_723_500_000_000, "1h2m3.5s"),
        ("90m", 5_400_000_000_000, "1h30m0s"),
        ("1500ms", 1_500_000_000, "1.5s"),
        ("250us", 250_000, "250µs"),
        ("1.5ms", 1_500_000, "1.5ms"),
        ("-3s", -3_000_000_000, "-3s"),
        ("7ns", 7, "7ns"),
        (".5m", 30_000_000_000, "30s"),
        ("10m", 600_000_000_000, "10m0s"),
    ],
)
def test_durations(text: str, nanoseconds: int, shown: str) -> None:
    duration = Duration.parse(text)
    assert duration.nanoseconds == nanoseconds
    assert str(duration) == shown


@pytest.mark.parametrize("text", ["", "1", "s", "1h2", "1 s", "--1s", "1d"])
def test_texts_that_are_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="invalid duration"):
        Duration.parse(text)

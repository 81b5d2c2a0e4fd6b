# From nothing but Python 3.11 and git to a running cluster: `make up`. To the tests: `make test`.
#
# Each step leaves a stamp in .venv, so that the next time it is skipped.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The newest Python that will do.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)

VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/stamps

# Ubuntu has Chromium only as a snap, which needs a running snapd: there the tests in a browser are skipped.
BROWSER := $(shell . /etc/os-release; [ "$$ID" = ubuntu ] || echo chromium fonts-dejavu-core)

RUNTIME_PACKAGES := python3-venv nftables iproute2 conntrack crun curl ca-certificates bsdutils mount
TEST_PACKAGES := clang libbpf-dev dnsutils docker-registry etcd-server iptables iputils-ping netbase openssl perl procps skopeo sqlite3 tcpdump user-mode-linux knot-dnsutils musl-tools nodejs uidmap $(BROWSER)

EBPF := clusterip/proxy/ebpf/sockets.bpf.o

EMULATION_PACKAGES := qemu-system-x86 busybox-static cpio kmod

PYTEST := $(BIN)/pytest
PYTEST_FLAGS ?=

.PHONY: help up down install ebpf test test-ipvs check docs pictures clean

help:
	@echo 'make up      install what is missing and start a cluster on this machine (as root)'
	@echo 'make down    stop it and remove everything it made'
	@echo 'make ebpf    compile the programs for --proxy-mode=ebpf (with clang and libbpf-dev)'
	@echo 'make test    install what the tests need and run them all (as root)'
	@echo 'make test-ipvs  all cases of --proxy-mode=ipvs in an emulated Debian kernel, with IPVS and nftables (long)'
	@echo 'make check   only the linters and type checks'
	@echo 'make docs    make a site of docs/ in build/docs'
	@echo 'make pictures  take the screenshots of the dashboard again (as root)'
	@echo 'make clean   remove the Python environment'

up: install
	@$(BIN)/clusterip up

down:
	@if [ -x $(BIN)/clusterip ]; then $(BIN)/clusterip down; else echo 'There is no cluster.'; fi

install: $(STAMPS)/runtime

ebpf: $(EBPF)

# The programs for --proxy-mode=ebpf. `make ebpf` needs clang and libbpf-dev; everything else works without.
clusterip/proxy/ebpf/%.bpf.o: clusterip/proxy/ebpf/%.bpf.c
	clang -O2 -g -Wall -Werror -target bpf -I/usr/include/$$(uname -m)-linux-gnu -c $< -o $@

test: $(STAMPS)/test-packages $(STAMPS)/dev ebpf check
	@echo '== tests'
	$(PYTEST) $(PYTEST_FLAGS) tests/unit tests/kernel tests/api tests/system

# user-mode-linux, which `make test` boots for IPVS, has no nftables; this has both, and takes half an hour.
test-ipvs: $(STAMPS)/emulation-packages $(STAMPS)/test-packages $(STAMPS)/dev
	$(BIN)/python -m tests.support.emulated $(abspath $(PYTEST)) -q -p no:cacheprovider $(PYTEST_FLAGS) \
		tests/kernel/proxy_ipvs tests/kernel/proxy -k ipvs

check: $(STAMPS)/dev
	@echo '== style'
	$(BIN)/ruff check clusterip tests
	$(BIN)/ruff format --check clusterip tests
	@echo '== types'
	$(BIN)/mypy
	@echo '== imports'
	$(BIN)/lint-imports

# The screenshots in README and docs, taken of a cluster with traffic by the dashboard's tests.
pictures: $(STAMPS)/test-packages $(STAMPS)/dev
	PICTURES=$(abspath docs/pictures) $(PYTEST) -q -p no:cacheprovider tests/system/test_dashboard.py -k pictures

docs: $(STAMPS)/dev
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet docs build/docs
	@echo 'build/docs/index.html'

clean:
	rm -rf $(VENV) build

# $(call packages,LIST): install the Debian packages of LIST that are missing. No service of theirs is started
# (policy-rc.d): the tests start what they need themselves, on ports of their own.
define packages
	@missing=; for package in $(1); do \
		dpkg-query -W -f '$${Status}' "$$package" 2>/dev/null | grep -q 'ok installed' \
			|| missing="$$missing $$package"; done; \
	if [ -n "$$missing" ]; then \
		[ "$$(id -u)" = 0 ] || { echo "Missing packages:$$missing. Run this as root, or install them."; exit 1; }; \
		echo "== apt packages:$$missing"; \
		export DEBIAN_FRONTEND=noninteractive; \
		policy=/usr/sbin/policy-rc.d; made=; \
		[ -e $$policy ] || { made=1; printf '#!/bin/sh\nexit 101\n' > $$policy; chmod +x $$policy; }; \
		apt-get update -q && apt-get install -q -y --no-install-recommends $$missing; done=$$?; \
		[ -z "$$made" ] || rm -f $$policy; \
		exit $$done; \
	fi
endef

# A virtual environment is made again when its Python is gone.
$(STAMPS)/packages: Makefile
	@[ -n "$(PYTHON)" ] || { echo 'clusterip needs Python 3.11 or newer; set PYTHON=/path/to/python3'; exit 1; }
	$(call packages,$(RUNTIME_PACKAGES))
	@$(BIN)/python -c '' 2>/dev/null || { \
		echo "== virtual environment: $$($(PYTHON) --version)"; rm -rf $(VENV); $(PYTHON) -m venv $(VENV); }
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/runtime: requirements.lock requirements-build.lock pyproject.toml $(STAMPS)/packages
	@echo '== Python packages'
	@$(BIN)/pip install --quiet --disable-pip-version-check --upgrade pip
	@$(BIN)/pip install --quiet --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --require-hashes -r requirements-build.lock
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q clusterip
	@touch $@

$(STAMPS)/dev: requirements-dev.lock $(STAMPS)/runtime
	@echo '== Python packages for development'
	@$(BIN)/pip install --quiet --require-hashes -r requirements-dev.lock
	@touch $@

$(STAMPS)/test-packages: Makefile $(STAMPS)/packages
	$(call packages,$(TEST_PACKAGES))
	@touch $@

$(STAMPS)/emulation-packages: Makefile $(STAMPS)/packages
	$(call packages,$(EMULATION_PACKAGES))
	@touch $@

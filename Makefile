# Makefile: everything a person or a CI job calls; "make help" lists it.
#
# PG_CONFIG chooses the server, DESTDIR and PREFIX where things go (the extension
# goes where pg_config says).  The extension builds by PGXS, the command line by
# a plain Makefile of its own: the two share no C.

PG_CONFIG ?= pg_config
PREFIX    ?= /usr/local
SETS      ?= build test
PROGRAMS  := $(patsubst %/Makefile,%,$(wildcard extension/Makefile cli/Makefile))
MAKEFLAGS += --no-print-directory
export PG_CONFIG PREFIX

all: $(PROGRAMS)  ## build the extension and the command line
$(PROGRAMS):
	+@$(MAKE) -C $@ all

install: $(PROGRAMS:%=install.%)  ## install both (PG_CONFIG, PREFIX, DESTDIR)
uninstall: $(PROGRAMS:%=uninstall.%)  ## remove what install put there
clean: $(PROGRAMS:%=clean.%)  ## remove what was built
	rm -rf build coverage results log output_iso regression.diffs regression.out

install.% uninstall.% clean.%:
	+@$(MAKE) -C $(lastword $(subst ., ,$@)) $(firstword $(subst ., ,$@))

deps:  ## install what building and testing need (SETS="build test bench dev matrix")
	scripts/deps.sh $(SETS)
deps-ensured:
	@scripts/deps.sh --ensure build test

# The suites that need the programs build them first; each target of one suite
# prints that suite's summary and fails if a case failed or if nothing ran.
check: deps-ensured  ## test everything on a private server, nothing installed
	+@$(MAKE) all
	@test/run-suites.sh lint unit regress isolation pgtap e2e
check-full: deps-ensured  ## check, with the long rounds, test/t/full and check-fresh
	+@$(MAKE) all
	@UPG_FULL=1 test/run-suites.sh lint unit regress isolation pgtap e2e fresh
check-unit: all  ## C unit tests (cmocka)
	@test/run-suites.sh unit
check-regress: all  ## SQL tests (pg_regress; REGRESS=name runs one)
	@test/run-suites.sh regress
check-isolation: all  ## concurrency tests (ISOLATION=name runs one)
	@test/run-suites.sh isolation
check-pgtap: all  ## pgTAP tests (PGTAP_TESTS=file runs one)
	@test/run-suites.sh pgtap
check-e2e: all  ## command line, crash and end-to-end tests (PROVE_TESTS=file runs one)
	@test/run-suites.sh e2e
check-matrix:  ## server tests on every PostgreSQL that can be had (MATRIX="15 17 18")
	@scripts/matrix.sh test $(MATRIX)

check-fresh:  ## check and demo from a clean clone on a bare Debian 12 (STAGE=x runs one)
	@scripts/fresh.sh $(STAGE)

installcheck:  ## test the installed extension on the running server (REGRESS=x, PROVE_TESTS=x)
	+@$(MAKE) -f test/regress.mk installcheck
	@test -z "$(PROVE_TESTS)" || prove $(PROVE_TESTS)

bench: all  ## compare with psql, dbmate and Sqitch (BENCH=name runs one)
	@test/bench/run.sh $(BENCH)
demo: deps-ensured  ## show it at work on a private server (PART=name runs one part)
	+@$(MAKE) all
	@demo/run.sh $(PART)
demo-clean:  ## stop the demo's server and remove it
	@demo/run.sh --clean

lint: all  ## all lints; test/lint/README.md says how to mend each
	@test/lint/run.sh
format:  ## lay out the C sources
	@test/lint/clang_format.sh --fix
format-check:  ## say which C sources are laid out otherwise
	@test/lint/clang_format.sh

asan:  ## unit and end-to-end tests with ASan and UBSan
	@scripts/variant.sh asan
check-assert:  ## SQL tests on a server with assertions, built first (DISCARD=1: caches, too)
	@scripts/variant.sh assert
valgrind:  ## SQL tests with the server under valgrind
	@scripts/variant.sh valgrind
coverage:  ## line coverage of extension and command line, in coverage/
	@scripts/variant.sh coverage

docs: all  ## write the generated pages (docs/cli-reference.md, docs/sql-reference.md)
	+@$(MAKE) -s -C cli docs
	@mkdir -p build && scripts/sql-reference.sh >build/sql-reference.md
	@mv build/sql-reference.md docs/sql-reference.md
docs-check: all  ## generated pages are current, links hold
	+@$(MAKE) -s -C cli docs-check
	@mkdir -p build && scripts/sql-reference.sh >build/sql-reference.md
	@diff -u docs/sql-reference.md build/sql-reference.md || { \
		echo "docs/sql-reference.md is not current: run make docs" >&2; exit 1; }
	@test/lint/links.sh
dist:  ## source archive in build/
	@scripts/dist.sh

help:  ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' Makefile

.PHONY: all $(PROGRAMS) install uninstall clean deps deps-ensured check check-full \
	check-unit check-regress check-isolation check-pgtap check-e2e check-matrix \
	check-assert check-fresh installcheck bench demo demo-clean lint format format-check asan valgrind coverage \
	docs docs-check dist help

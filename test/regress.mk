# test/regress.mk: pg_regress and isolation tests; always run from the repository root.
REGRESS        = --schedule=test/schedule
REGRESS_OPTS   = --inputdir=test
ISOLATION      = $(basename $(notdir $(sort $(wildcard test/specs/*.spec))))
ISOLATION_OPTS = --inputdir=test --outputdir=.
PG_CONFIG     ?= pg_config
override with_llvm = no
PGXS          := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

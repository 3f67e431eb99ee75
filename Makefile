# Makefile: what people of this ecosystem expect; "make help" lists it.
PG_CONFIG ?= pg_config
PREFIX    ?= /usr/local
export PG_CONFIG PREFIX

all: extension cli
extension:
	$(MAKE) -C extension all
cli:
	@if [ -f cli/Makefile ]; then $(MAKE) -C cli all; fi

clean:
	$(MAKE) -C extension clean
	@if [ -f cli/Makefile ]; then $(MAKE) -C cli clean; fi

.PHONY: all extension cli clean

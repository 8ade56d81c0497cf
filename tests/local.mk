# SPDX-License-Identifier: BSD-3-Clause
# Tests. To add one, write its source and add one line to one of the first lists.

# tests/unit/NAME.c: no MPI; linked with the library's internal names.
UNIT_TESTS = \
	tests/unit/budget \
	tests/unit/catalog \
	tests/unit/chaos \
	tests/unit/class \
	tests/unit/clock \
	tests/unit/counting \
	tests/unit/crew \
	tests/unit/descriptor \
	tests/unit/doorbell \
	tests/unit/untaken \
	tests/unit/error \
	tests/unit/fit \
	tests/unit/growth \
	tests/unit/info \
	tests/unit/landing \
	tests/unit/log \
	tests/unit/machine \
	tests/unit/memory \
	tests/unit/options \
	tests/unit/payload \
	tests/unit/place \
	tests/unit/pool \
	tests/unit/sample \
	tests/unit/seat \
	tests/unit/signature \
	tests/unit/table \
	tests/unit/units \
	tests/unit/value

# tests/fuzz/NAME.c: bad bytes, from tests/fuzz/corpus/NAME and near it; libFuzzer's are had with `make fuzz`.
FUZZ_TESTS = \
	tests/fuzz/catalog \
	tests/fuzz/descriptor \
	tests/fuzz/options \
	tests/fuzz/payload \
	tests/fuzz/signature \
	tests/fuzz/wire

# tests/mpi/NAME.c: the public interface only. NAME-N is NAME on N ranks.
MPI_TESTS = \
	tests/mpi/berths \
	tests/mpi/beside \
	tests/mpi/bytes \
	tests/mpi/callbacks \
	tests/mpi/calls \
	tests/mpi/contexts \
	tests/mpi/copies \
	tests/mpi/counters \
	tests/mpi/data \
	tests/mpi/deferred \
	tests/mpi/dropped \
	tests/mpi/ends \
	tests/mpi/fences \
	tests/mpi/flood \
	tests/mpi/frame \
	tests/mpi/futures \
	tests/mpi/left \
	tests/mpi/levels \
	tests/mpi/loans \
	tests/mpi/loops \
	tests/mpi/nesting \
	tests/mpi/groups \
	tests/mpi/hostile \
	tests/mpi/names \
	tests/mpi/objects \
	tests/mpi/proxies \
	tests/mpi/ready \
	tests/mpi/remote \
	tests/mpi/sharing \
	tests/mpi/soak \
	tests/mpi/types

# tests/inner/NAME.c: on 1 and 2 ranks, with the library's internal names.
INNER_TESTS = \
	tests/inner/leaving \
	tests/inner/memory \
	tests/inner/placing \
	tests/inner/shortage

# The same on 3 ranks, one of which is lost.
LOSS_TESTS = \
	tests/inner/estate

# As those of tests/mpi, but for check-all alone: they need 6 GiB of memory, or minutes.
LARGE_TESTS = \
	tests/mpi/large

# Programs to which things happen; tests/faults/node.sh and tests/hosts/faults.sh run them.
FAULT_RANKS = tests/faults/after tests/faults/cut tests/faults/estate tests/faults/quiet tests/faults/ranks
# The same; tests/friends.sh runs it.
FRIEND_RANKS = tests/friends/ranks

# Scripts that keep the rules of the house; they print their own result lines, by tests/lint/lint.sh.
LINT_TESTS = \
	tests/lint/contracts.sh \
	tests/lint/files.sh \
	tests/lint/floors.sh \
	tests/lint/header.sh \
	tests/lint/listed.sh \
	tests/lint/manual.sh \
	tests/lint/reference.sh \
	tests/lint/roles.sh \
	tests/lint/runs.sh \
	tests/lint/symbols.sh \
	tests/lint/version.sh

# Scripts that run what is built: examples, tools, the model of counting beside the code.
EXAMPLE_TESTS = \
	tests/chaos/short.sh \
	tests/fractal.sh \
	tests/faults/node.sh \
	tests/hello.sh \
	tests/hosts/short.sh \
	tests/kmer.sh \
	tests/model.sh \
	tests/parameters.sh \
	tests/rref-info.sh \
	tests/rref-perf.sh \
	tests/steering.sh \
	tests/two.sh

# Scripts for check-all alone: they need minutes.
LONG_TESTS = \
	tests/compat.sh \
	tests/friends.sh \
	tests/soak.sh

# Scripts that run the tests on ranks across several hosts of their own making: make check-hosts.
HOST_TESTS = \
	tests/hosts/faults.sh \
	tests/hosts/tcp.sh \
	tests/hosts/ucx.sh

# Scripts that run the tests on ranks again and again, each time disturbed in another way: make check-chaos.
CHAOS_TESTS = \
	tests/chaos/even.sh \
	tests/chaos/odd.sh

# Scripts that have other programs look at the sources, or at the library while it runs: make check-static.
STATIC_TESTS = \
	tests/static/cppcheck.sh \
	tests/static/tidy.sh \
	tests/static/valgrind.sh

# A script that runs the batch scripts of examples/slurm on a Slurm of its own making: make check-slurm.
SLURM_TESTS = \
	tests/slurm/slurm.sh

# ---- what is done with them ------------------------------------------------------------------------------------------
MPI_TESTS_1 = $(MPI_TESTS:=-1)
MPI_TESTS_2 = $(MPI_TESTS:=-2)
MPI_TESTS_3 = $(MPI_TESTS:=-3)
MPI_TESTS_4 = $(MPI_TESTS:=-4)
MPI_TESTS_8 = $(MPI_TESTS:=-8)
RANKED_LARGE = $(LARGE_TESTS:=-2)
RANKED_INNER = $(INNER_TESTS:=-1) $(INNER_TESTS:=-2) $(LOSS_TESTS:=-3)
RANKED_TESTS = $(RANKED_INNER) $(MPI_TESTS_1) $(MPI_TESTS_2) $(MPI_TESTS_3) $(MPI_TESTS_4) $(MPI_TESTS_8)

if HAVE_CUNIT
check_LTLIBRARIES += libcheck.la
check_PROGRAMS += $(UNIT_TESTS) $(FUZZ_TESTS) $(INNER_TESTS) $(LOSS_TESTS) $(MPI_TESTS) $(LARGE_TESTS) tests/replay
TESTS += $(UNIT_TESTS) $(FUZZ_TESTS) $(RANKED_TESTS)
endif
if SANITIZED
check_PROGRAMS += tests/sanitizers/planted
TESTS += tests/sanitizers/planted.sh
else
TESTS += $(LINT_TESTS)
endif
TESTS += $(EXAMPLE_TESTS)
# Automake makes the rule that runs a test, when that is asked for by name, for those in TESTS alone.
if NEVER
TESTS += $(RANKED_LARGE)
endif
check_PROGRAMS += $(FAULT_RANKS) $(FRIEND_RANKS)
tests_faults_after_SOURCES = tests/faults/after.c tests/faults/expect.c tests/faults/expect.h
tests_faults_after_LDADD = librref.la
tests_faults_cut_SOURCES = tests/faults/cut.c tests/faults/expect.c tests/faults/expect.h
tests_faults_cut_LDADD = librref.la
tests_faults_estate_SOURCES = tests/faults/estate.c tests/faults/expect.c tests/faults/expect.h
tests_faults_estate_LDADD = librref.la
tests_faults_quiet_SOURCES = tests/faults/quiet.c tests/faults/expect.c tests/faults/expect.h
tests_faults_quiet_LDADD = librref.la
tests_faults_ranks_LDADD = librref.la
tests_friends_ranks_LDADD = librref.la

libcheck_la_SOURCES = tests/check.c tests/check.h tests/check_mpi.c
libcheck_la_CFLAGS = $(AM_CFLAGS) $(CUNIT_CFLAGS)
libcheck_la_LIBADD = $(CUNIT_LIBS)
tests_sanitizers_planted_LDADD =

tests_mpi_callbacks_SOURCES = tests/mpi/callbacks.c tests/mpi/well.h
tests_mpi_hostile_SOURCES = tests/mpi/hostile.c tests/mpi/well.h

# An application with MPI of its own, and a tool that counts MPI's calls.
tests_mpi_beside_SOURCES = \
	tests/mpi/beside.c \
	tests/mpi/application.c \
	tests/mpi/application.h \
	tests/mpi/tally.c \
	tests/mpi/tally.h
tests_mpi_beside_CFLAGS = $(AM_CFLAGS) $(OPENMP_CFLAGS)

# The mix of calls is metered for check-soak.
tests_mpi_soak_SOURCES = tests/mpi/soak.c tests/meter.c
tests_mpi_soak_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=rref_init -Wl,--wrap=rref_finalize

# Lives in which a request for memory fails.
tests_inner_memory_SOURCES = tests/inner/memory.c tests/inner/life.c tests/inner/life.h
tests_inner_shortage_SOURCES = tests/inner/shortage.c tests/inner/life.c tests/inner/life.h

# Ranks of one process: their own link stands in front of the library's.
tests_unit_machine_SOURCES = tests/unit/machine.c $(FAKE)
tests_fuzz_wire_SOURCES = tests/fuzz/wire.c tests/fuzz/fuzz.h tests/fuzz/replay.c $(FAKE)
tests_fuzz_catalog_SOURCES = tests/fuzz/catalog.c tests/fuzz/fuzz.h tests/fuzz/replay.c
tests_fuzz_descriptor_SOURCES = tests/fuzz/descriptor.c tests/fuzz/fuzz.h tests/fuzz/replay.c
tests_fuzz_payload_SOURCES = tests/fuzz/payload.c tests/fuzz/fuzz.h tests/fuzz/replay.c
tests_fuzz_signature_SOURCES = tests/fuzz/signature.c tests/fuzz/fuzz.h tests/fuzz/replay.c
tests_fuzz_options_SOURCES = tests/fuzz/options.c tests/fuzz/fuzz.h tests/fuzz/replay.c
tests_unit_sample_SOURCES = tests/unit/sample.c tools/perf/sample.c tools/perf/sample.h
tests_unit_counting_SOURCES = tests/unit/counting.c $(COUNTED)
tests_replay_SOURCES = tests/replay.c $(COUNTED)
tests_replay_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=rri_weight_send -Wl,--wrap=rri_object_mint
tests_replay_LDADD = librri.la
COUNTED = tests/counted.c tests/counted.h $(FAKE)
FAKE = tests/fake_link.c tests/fake_link.h tests/fake_rank.c tests/fake_rank.h

# Programs without an _LDADD of their own, that is the tests, are linked with this. What LIBRARY is depends on the kind of
# test; so does what must be built first.
LDADD = libcheck.la $(LIBRARY)
$(UNIT_TESTS) $(FUZZ_TESTS) $(INNER_TESTS) $(LOSS_TESTS): LIBRARY = librri.la
$(UNIT_TESTS) $(FUZZ_TESTS) $(INNER_TESTS) $(LOSS_TESTS): librri.la
$(MPI_TESTS) $(LARGE_TESTS): LIBRARY = librref.la
$(MPI_TESTS) $(LARGE_TESTS): librref.la

# tests/mpi/NAME-N: a script of one line that can also be run by hand; its name says all.
RANKED = $(RANKED_TESTS) $(RANKED_LARGE)
MAKE_RANKED = $(AM_V_GEN)printf '\#!/bin/sh\nexec %s/tests/run.sh -c "$$0"\n' '$(abs_srcdir)' > $@ && chmod +x $@
$(filter %-1,$(RANKED)): %-1: % ; $(MAKE_RANKED)
$(filter %-2,$(RANKED)): %-2: % ; $(MAKE_RANKED)
$(filter %-3,$(RANKED)): %-3: % ; $(MAKE_RANKED)
$(filter %-4,$(RANKED)): %-4: % ; $(MAKE_RANKED)
$(filter %-8,$(RANKED)): %-8: % ; $(MAKE_RANKED)
CLEANFILES += $(RANKED_TESTS) $(RANKED_LARGE)

# Every test is started by run.sh. Automake's TEST_EXTENSIONS is for scripts alone: it would give NAME.2 and NAME.4 one log.
TEST_EXTENSIONS = .sh
LOG_COMPILER = $(srcdir)/tests/run.sh
AM_LOG_FLAGS = -c
SH_LOG_COMPILER = $(LOG_COMPILER)
AM_SH_LOG_FLAGS = $(AM_LOG_FLAGS)
AM_TESTS_ENVIRONMENT = \
	srcdir='$(abs_srcdir)'; builddir='$(abs_builddir)'; CC='$(CC)'; CXX='$(CXX)'; NM='$(NM)'; MPIRUN='$(MPIRUN)'; \
	SANITIZER='$(SANITIZER)'; export srcdir builddir CC CXX NM MPIRUN SANITIZER;

# Parts of `make check`, for quickstart: make check TESTS="$(make -s print-unit)" and so on.
print-unit:
	@echo $(UNIT_TESTS) $(FUZZ_TESTS)
# Of the unit tests those with threads, for the thread sanitizer: the others take it long, and it finds nothing in them.
print-unit-threads:
	@echo $(patsubst %,tests/unit/%,clock crew doorbell error log pool seat table untaken)
print-lint:
	@echo $(LINT_TESTS)
print-sanitizer:
	@echo tests/sanitizers/planted.sh
print-examples:
	@echo $(EXAMPLE_TESTS)
print-large:
	@echo $(RANKED_LARGE)
print-long:
	@echo $(LONG_TESTS)
print-hosts:
	@echo $(HOST_TESTS)
print-slurm:
	@echo $(SLURM_TESTS)
print-mpich:
	@echo tests/mpi/frame-8 tests/hello.sh
# What of the other MPI is least like the first: threads, data of all kinds, groups, its end, an application's own messages.
print-mpich-few:
	@echo $(patsubst %,tests/mpi/%-2,beside bytes calls contexts copies data ends flood groups hostile levels ready)
print-1 print-2 print-3 print-4 print-8:
	@echo $(filter %-$(@:print-%=%),$(RANKED_TESTS))
print-alone: print-1
.PHONY: print-long print-hosts print-slurm print-mpich print-mpich-few print-large print-unit print-lint print-sanitizer
.PHONY: print-examples print-unit-threads print-1 print-2 print-3 print-4 print-8 print-alone

# Several hosts, over TCP and UCX.
check-hosts:
	$(MAKE) $(AM_MAKEFLAGS) check TESTS='$(HOST_TESTS)'

# Disturbed by ten seeds, in two streams.
check-chaos:
	$(MAKE) $(AM_MAKEFLAGS) check TESTS='$(CHAOS_TESTS)'
print-chaos:
	@echo $(CHAOS_TESTS)

check-static: $(MPI_TESTS)
	$(MAKE) $(AM_MAKEFLAGS) check TESTS='$(STATIC_TESTS)'
print-static:
	@echo $(STATIC_TESTS)

# A real Slurm on two hosts.
check-slurm:
	$(MAKE) $(AM_MAKEFLAGS) check TESTS='$(SLURM_TESTS)'

# All rank counts under all sanitizers too; quickstart knows the builds.
check-all:
	cd $(srcdir) && ./quickstart check-all
.PHONY: check-all check-chaos check-hosts check-slurm check-static print-chaos print-static

# MINUTES of the random mix on 4 ranks, with memory and rates drawn in soak/soak.svg.
MINUTES = 30
check-soak: tests/mpi/soak
	srcdir='$(abs_srcdir)' builddir='$(abs_builddir)' MPIRUN='$(MPIRUN)' $(srcdir)/tests/soak.sh $(MINUTES)
.PHONY: check-soak

# SECONDS for each target.
SECONDS = 600
fuzz:
	srcdir='$(abs_srcdir)' builddir='$(abs_builddir)' sh $(srcdir)/tests/fuzz/run.sh $(SECONDS)
.PHONY: fuzz

EXTRA_DIST += \
	tests/fuzz/corpus \
	tests/fuzz/run.sh \
	$(LINT_TESTS) \
	$(EXAMPLE_TESTS) \
	$(HOST_TESTS) \
	$(LONG_TESTS) \
	$(CHAOS_TESTS) \
	tests/chaos/under.sh \
	$(STATIC_TESTS) \
	tests/static/valgrind.supp \
	$(SLURM_TESTS) \
	tests/data.sh \
	tests/header/program.c \
	tests/header/program.cpp \
	tests/faults/strike.sh \
	tests/hosts/agent \
	tests/hosts/hosts \
	tests/hosts/on.sh \
	tests/hosts/perf \
	tests/install.sh \
	tests/lint/floors \
	tests/lint/lint.sh \
	tests/lint/roles.c \
	tests/outside/autotools/Makefile.am \
	tests/outside/autotools/configure.ac \
	tests/outside/cmake/CMakeLists.txt \
	tests/outside/make/Makefile \
	tests/run.sh \
	tests/sanitizers/leak.supp \
	tests/sanitizers/planted.sh \
	tests/slurm/cluster

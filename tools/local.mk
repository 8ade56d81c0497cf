# SPDX-License-Identifier: BSD-3-Clause
# Tools, installed.

bin_PROGRAMS += tools/rref-info
tools_rref_info_LDADD = librref.la

bin_PROGRAMS += tools/rref-perf
tools_rref_perf_SOURCES = \
	tools/perf/bandwidth.c \
	tools/perf/bare.c \
	tools/perf/bare.h \
	tools/perf/bell.c \
	tools/perf/bell.h \
	tools/perf/bench.c \
	tools/perf/bench.h \
	tools/perf/burden.c \
	tools/perf/burden.h \
	tools/perf/busy.c \
	tools/perf/clock.c \
	tools/perf/clock.h \
	tools/perf/idle.c \
	tools/perf/interference.c \
	tools/perf/latency.c \
	tools/perf/memory.c \
	tools/perf/objects.c \
	tools/perf/objects.h \
	tools/perf/oneway.c \
	tools/perf/options.c \
	tools/perf/options.h \
	tools/perf/perf.c \
	tools/perf/pipeline.c \
	tools/perf/pipeline.h \
	tools/perf/rate.c \
	tools/perf/raw.c \
	tools/perf/raw.h \
	tools/perf/references.c \
	tools/perf/resolve.c \
	tools/perf/row.c \
	tools/perf/row.h \
	tools/perf/sample.c \
	tools/perf/sample.h \
	tools/perf/service.c \
	tools/perf/service.h \
	tools/perf/startup.c \
	tools/perf/tests.c \
	tools/perf/tests.h \
	tools/perf/threads.c \
	tools/perf/work.c \
	tools/perf/work.h
tools_rref_perf_LDADD = librref.la -lm
EXTRA_DIST += tools/perf/plot tools/perf/goals

# SPDX-License-Identifier: BSD-3-Clause
# Manual pages.

dist_man_MANS += doc/rref.7 doc/rref-info.1 doc/rref-perf.1

EXTRA_DIST += doc/clusters.md doc/design.md doc/performance.md doc/reliability.md
EXTRA_DIST += doc/Doxyfile.in doc/model/counting.pml doc/perf-bandwidth.svg doc/perf-latency.svg doc/perf-rate.svg doc/soak.svg

# The reference of rref.h, into doc/reference/; it needs doxygen, and nothing else here does.
doxygen: doc/Doxyfile
	doxygen doc/Doxyfile
.PHONY: doxygen
clean-local:
	rm -rf doc/reference

# SPDX-License-Identifier: BSD-3-Clause
# Tools, installed.

bin_PROGRAMS += tools/rref-info
tools_rref_info_LDADD = librref.la

bin_PROGRAMS += tools/rref-perf
tools_rref_perf_LDADD = librref.la

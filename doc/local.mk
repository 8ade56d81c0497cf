# SPDX-License-Identifier: BSD-3-Clause
# Manual pages.

dist_man_MANS += doc/rref.7 doc/rref-info.1

EXTRA_DIST += doc/design.md doc/performance.md doc/reliability.md

# SPDX-License-Identifier: BSD-3-Clause
# The library. Its sources, floor by floor (tests/lint/floors has the rule); a new file is a line here.

RRI_SOURCES = \
	src/visible.h \
	src/memory.c \
	src/memory.h \
	src/value.c \
	src/value.h \
	src/output.c \
	src/output.h \
	src/fit.c \
	src/fit.h \
	src/table.c \
	src/table.h \
	src/signature.c \
	src/signature.h \
	src/pool.c \
	src/pool.h \
	src/chain.c \
	src/chain.h \
	src/chaos.c \
	src/chaos.h \
	src/clock.c \
	src/clock.h \
	src/colour.c \
	src/colour.h \
	src/role.h \
	src/sync.c \
	src/sync.h \
	src/error.c \
	src/error.h \
	src/fork.c \
	src/fork.h \
	src/log.c \
	src/log.h \
	src/units.c \
	src/units.h \
	src/seat.c \
	src/seat.h \
	src/place.c \
	src/place.h \
	src/crew.c \
	src/crew.h \
	src/catalog.c \
	src/catalog.h \
	src/placer.c \
	src/placer.h \
	src/budget.c \
	src/budget.h \
	src/driver.c \
	src/driver.h \
	src/watcher.c \
	src/wait.c \
	src/progress.c \
	src/progress.h \
	src/host.c \
	src/host.h \
	src/strided.c \
	src/strided.h \
	src/link.c \
	src/link.h \
	src/bulk.c \
	src/bulk.h \
	src/window.c \
	src/window.h \
	src/doorbell.c \
	src/doorbell.h \
	src/untaken.c \
	src/untaken.h \
	src/peer.c \
	src/peer.h \
	src/stash.c \
	src/stash.h \
	src/growth.h \
	src/flow.c \
	src/flow.h \
	src/lane.c \
	src/lane.h \
	src/credit.c \
	src/transfer.c \
	src/transfer.h \
	src/wire.h \
	src/weight.c \
	src/weight.h \
	src/landing.c \
	src/landing.h \
	src/call.c \
	src/call.h \
	src/answer.c \
	src/answer.h \
	src/stuck.c \
	src/stuck.h \
	src/direct.c \
	src/loan.c \
	src/loan.h \
	src/dropped.c \
	src/dropped.h \
	src/described.c \
	src/described.h \
	src/serve.c \
	src/reply.c \
	src/reply.h \
	src/handler.c \
	src/handler.h \
	src/future.c \
	src/reaction.c \
	src/future.h \
	src/reaction.h \
	src/instant.c \
	src/instant.h \
	src/lone.c \
	src/lone.h \
	src/spare.c \
	src/spare.h \
	src/pending.c \
	src/pending.h \
	src/berth.c \
	src/berth.h \
	src/exec.c \
	src/exec.h \
	src/again.c \
	src/again.h \
	src/origin.c \
	src/origin.h \
	src/reference.c \
	src/reference.h \
	src/share.c \
	src/create.c \
	src/once.c \
	src/once.h \
	src/proxy.c \
	src/proxy.h \
	src/lead.c \
	src/lead.h \
	src/remote.c \
	src/result.c \
	src/result.h \
	src/fetch.c \
	src/fetch.h \
	src/enter.c \
	src/class.c \
	src/class.h \
	src/descriptor.c \
	src/descriptor.h \
	src/resolve.c \
	src/resolve.h \
	src/capture.c \
	src/capture.h \
	src/type.c \
	src/promise.c \
	src/deferred.c \
	src/object.c \
	src/park.c \
	src/object.h \
	src/construct.c \
	src/aim.c \
	src/park.h \
	src/cycle.c \
	src/cycle.h \
	src/service.c \
	src/service.h \
	src/name.c \
	src/name.h \
	src/group.c \
	src/group.h \
	src/collect.c \
	src/dump.c \
	src/dump.h \
	src/estate.c \
	src/estate.h \
	src/fence.c \
	src/fence.h \
	src/context.c \
	src/context.h \
	src/statistics.c \
	src/init.c \
	src/term.c \
	src/term.h \
	src/finalize.c \
	src/finalize.h \
	src/unread.c \
	src/options.c \
	src/options.h \
	src/info.c \
	src/info.h

# All of it, internal names included: unit tests are linked with this one.
noinst_LTLIBRARIES += librri.la
librri_la_SOURCES = $(RRI_SOURCES)
librri_la_CPPFLAGS = $(AM_CPPFLAGS) -include $(srcdir)/src/visible.h
librri_la_CFLAGS = $(ONCE) $(AM_CFLAGS) $(ALIGN) $(LTO_CFLAGS) -fvisibility=hidden $(HWLOC_CFLAGS)
librri_la_LIBADD = $(HWLOC_LIBS)

# The library: the same objects, of which only rref_* can be seen from outside.
lib_LTLIBRARIES += librref.la
librref_la_SOURCES =
librref_la_LIBADD = librri.la
librref_la_LDFLAGS = -pthread $(SANITIZE) $(LTO_LDFLAGS) $(ALIGN) -version-info $(RREF_LIBTOOL) -no-undefined \
	-Wl,--version-script=$(srcdir)/src/rref.map
EXTRA_librref_la_DEPENDENCIES = $(srcdir)/src/rref.map
EXTRA_DIST += src/rref.map

# See RREF_TRY_LTO.
install-exec-hook:
	a="$(DESTDIR)$(libdir)/librref.a"; \
	test -z "$(LTO_CFLAGS)" || test ! -f "$$a" || $(OBJCOPY) --wildcard -R '.gnu.lto_*' -R '.gnu.debuglto_*' "$$a"

# SPDX-License-Identifier: BSD-3-Clause
# Examples: built with everything else, run by the tests, not installed.

if HAVE_ZLIB
noinst_PROGRAMS += examples/kmer/kmer
endif
examples_kmer_kmer_SOURCES = \
	examples/kmer/kmer.c \
	examples/kmer/options.c \
	examples/kmer/options.h \
	examples/kmer/progress.c \
	examples/kmer/progress.h \
	examples/kmer/raw.c \
	examples/kmer/raw.h \
	examples/kmer/report.c \
	examples/kmer/report.h \
	examples/kmer/scan.h \
	examples/kmer/sequence.c \
	examples/kmer/sequence.h \
	examples/kmer/share.c \
	examples/kmer/share.h \
	examples/kmer/table.c \
	examples/kmer/table.h \
	examples/kmer/table_class.c \
	examples/kmer/table_class.h
examples_kmer_kmer_CFLAGS = $(AM_CFLAGS) $(ZLIB_CFLAGS)
examples_kmer_kmer_LDADD = librref.la $(ZLIB_LIBS)

noinst_PROGRAMS += examples/parameters/parameters
examples_parameters_parameters_LDADD = librref.la -lm

noinst_PROGRAMS += examples/fractal/fractal
examples_fractal_fractal_LDADD = librref.la -lm

noinst_PROGRAMS += examples/steering/steering
examples_steering_steering_LDADD = librref.la -lm

# A program that ends in order, and batch scripts for Slurm.
noinst_PROGRAMS += examples/slurm/until
examples_slurm_until_LDADD = librref.la
EXTRA_DIST += \
	examples/slurm/limit.sbatch \
	examples/slurm/mpirun.sbatch \
	examples/slurm/srun.sbatch

# Two programs of one job.
noinst_PROGRAMS += examples/two/two-server examples/two/two-client
examples_two_two_server_SOURCES = examples/two/server.c
examples_two_two_server_LDADD = librref.la
examples_two_two_client_SOURCES = examples/two/client.c
examples_two_two_client_LDADD = librref.la

# hello in each language; flags of their own keep the objects of hello.c and hello.cpp apart.
noinst_PROGRAMS += examples/hello/hello
examples_hello_hello_LDADD = librref.la

if HAVE_CXX
noinst_PROGRAMS += examples/hello/hello-cxx
endif
examples_hello_hello_cxx_SOURCES = examples/hello/hello.cpp
examples_hello_hello_cxx_CXXFLAGS = $(AM_CXXFLAGS)
examples_hello_hello_cxx_LDADD = librref.la

if HAVE_FORTRAN
noinst_PROGRAMS += examples/hello/hello-fortran
endif
examples_hello_hello_fortran_SOURCES = examples/hello/hello.f90
examples_hello_hello_fortran_FCFLAGS = $(AM_FCFLAGS)
examples_hello_hello_fortran_LDADD = librref.la
CLEANFILES += rref_c.mod accounts.mod

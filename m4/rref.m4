# SPDX-License-Identifier: BSD-3-Clause
# Checks of this package that are too long to stand in configure.ac.

# RREF_CHOOSE_MPI
# CC is an MPI wrapper, chosen before anything asks for a compiler; the other wrappers and the launcher are its brothers:
# mpicc.mpich, mpicxx.mpich, mpirun.mpich. What the wrappers take from the environment, the compiler under them, must be the
# same in every later make: UNDERLYING lists it, and Makefile.am exports it.
AC_DEFUN([RREF_CHOOSE_MPI],
  [AC_ARG_WITH([mpi],
    [AS_HELP_STRING([--with-mpi=NAME], [openmpi or mpich, where both are there; default: whose mpicc it is])], [], [with_mpi=])
   AS_CASE([$with_mpi], ['' | openmpi | mpich], [],
     [AC_MSG_ERROR([--with-mpi=$with_mpi: openmpi or mpich is wanted])])
   AC_ARG_VAR([MPICC], [MPI's wrapper of the C compiler, if CC is not set])
   AC_ARG_VAR([MPIRUN], [what starts ranks, for the tests])
   test -n "$CC" || CC=$MPICC
   AC_CHECK_PROGS([CC], [${with_mpi:+mpicc.$with_mpi} mpicc], [mpicc])
   rref_brother() {
     AS_CASE([$CC],
       [*mpicc*], [AS_ECHO(["$CC"]) | sed "s/ .*//; s,mpicc\([[^/]]*\)\$,$[]1\1,"],
       [AS_ECHO(["$[]1"])])
   }
   : ${CXX=`rref_brother mpicxx`} ${FC=`rref_brother mpifort`} ${MPIRUN=`rref_brother mpirun`}
   UNDERLYING=
   m4_foreach_w([variable], [OMPI_CC OMPI_CXX OMPI_FC MPICH_CC MPICH_CXX MPICH_FC],
     [AC_ARG_VAR(variable, [compiler under the wrapper])
      AS_IF([test -n "$variable"], [export variable; UNDERLYING="$UNDERLYING variable"])])
   AC_SUBST([UNDERLYING])])

# RREF_CHECK_MPI
# CC must compile and link MPI programs, and mpi.h must be of MPI 3.1 or later.
AC_DEFUN([RREF_CHECK_MPI],
  [AC_MSG_CHECKING([whether $CC links MPI programs])
   AC_LINK_IFELSE(
     [AC_LANG_PROGRAM([[#include <mpi.h>]], [[int level; MPI_Init_thread(0, 0, MPI_THREAD_MULTIPLE, &level);]])],
     [AC_MSG_RESULT([yes])],
     [AC_MSG_RESULT([no])
      AC_MSG_ERROR([$CC is no MPI compiler. Install one (Debian: libopenmpi-dev openmpi-bin) or say CC=/path/to/mpicc])])
   AC_MSG_CHECKING([for MPI 3.1 or later])
   AC_COMPILE_IFELSE(
     [AC_LANG_PROGRAM([[#include <mpi.h>]],
       [[_Static_assert(MPI_VERSION > 3 || (MPI_VERSION == 3 && MPI_SUBVERSION >= 1), "too old");]])],
     [AC_MSG_RESULT([yes])],
     [AC_MSG_RESULT([no])
      AC_MSG_ERROR([MPI 3.1 or later is needed])])
   AC_MSG_CHECKING([whose MPI this is])
   MPI_NAME="an unknown MPI" MPI_MARK=MPI_VERSION
   RREF_MPI_IS([openmpi], [Open MPI], [OMPI_MAJOR_VERSION])
   RREF_MPI_IS([mpich], [MPICH], [MPICH_NUMVERSION])
   AC_MSG_RESULT([$MPI_NAME])
   AC_SUBST([MPI_NAME])
   AC_SUBST([MPI_MARK])])

# RREF_MPI_IS(CHOICE, NAME, MARK)
# Whether mpi.h is that of NAME or of its family, which defines MARK: include/rref_mpi.h will ask the same of every program.
AC_DEFUN([RREF_MPI_IS],
  [AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[#include <mpi.h>]], [[int mark = $3; (void)mark;]])],
     [MPI_NAME="$2" MPI_MARK=$3],
     [AS_CASE([$with_mpi], [$1],
       [AC_MSG_RESULT([not $2])
        AC_MSG_ERROR([--with-mpi=$1, but $CC is the wrapper of another MPI; say which with CC])])])])

# RREF_MPI_FLAGS
# rref.h includes mpi.h, so rref.pc and rref-config.cmake must lead a plain compiler to the MPI of this library, and to no
# other that may also be installed. The wrappers of Open MPI and MPICH show what they add with -show.
AC_DEFUN([RREF_MPI_FLAGS],
  [AC_MSG_CHECKING([how a plain compiler finds this MPI])
   MPI_CPPFLAGS= MPI_LIBS=
   for rref_word in `$CC -show 2>/dev/null`; do
     AS_CASE([$rref_word],
       [-I* | -D*], [MPI_CPPFLAGS="${MPI_CPPFLAGS:+$MPI_CPPFLAGS }$rref_word"],
       [-L* | -l* | -Wl,-rpath*], [MPI_LIBS="${MPI_LIBS:+$MPI_LIBS }$rref_word"])
   done
   AC_MSG_RESULT([${MPI_CPPFLAGS:-as it is} $MPI_LIBS])
   AC_SUBST([MPI_CPPFLAGS])
   AC_SUBST([MPI_LIBS])])

# RREF_CHECK_MACHINE
# The wire format is that of a 64-bit little-endian machine, and atomics of 64 bits must not need a lock.
AC_DEFUN([RREF_CHECK_MACHINE],
  [AC_MSG_CHECKING([for a 64-bit little-endian machine])
   AC_COMPILE_IFELSE(
     [AC_LANG_PROGRAM([[#include <stdatomic.h>]],
       [[_Static_assert(sizeof(void *) == 8, "64 bits");
         _Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "little-endian");
         _Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "lock-free atomics");]])],
     [AC_MSG_RESULT([yes])],
     [AC_MSG_RESULT([no])
      AC_MSG_ERROR([only 64-bit little-endian machines with lock-free 64-bit atomics are supported])])])

# RREF_TRY_FLAGS(VARIABLE, FLAGS)
# Add to VARIABLE those of FLAGS that the C compiler takes without a warning.
AC_DEFUN([RREF_TRY_FLAGS],
  [for rref_flag in $2; do
     AC_MSG_CHECKING([whether the compiler takes $rref_flag])
     rref_save=$CFLAGS
     CFLAGS="$CFLAGS -Werror $rref_flag"
     AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])],
       [AC_MSG_RESULT([yes]); $1="$$1 $rref_flag"],
       [AC_MSG_RESULT([no])])
     CFLAGS=$rref_save
   done])

# RREF_TRY_LTO
# Link-time optimisation of the shared library: what compiles for it, LTO_CFLAGS, and links so, LTO_LDFLAGS; and what links all
# else, NO_LTO. The objects are ordinary ones, too, for what is linked without it; the static library is relieved of the rest when
# it is installed, since that would be of no use to another version of the compiler, which refuses it.
AC_DEFUN([RREF_TRY_LTO],
  [AC_CHECK_TOOL([OBJCOPY], [objcopy])
   AC_MSG_CHECKING([for link-time optimisation])
   rref_save=$CFLAGS
   CFLAGS="$CFLAGS -Werror -flto -ffat-lto-objects"
   AS_IF([test -n "$OBJCOPY"],
     [AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
       [LTO_CFLAGS="-flto -ffat-lto-objects" LTO_LDFLAGS=-flto=auto NO_LTO=-fno-lto])])
   CFLAGS=$rref_save
   AC_MSG_RESULT([${LTO_CFLAGS:-no}])])

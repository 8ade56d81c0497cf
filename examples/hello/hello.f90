! SPDX-License-Identifier: BSD-3-Clause
! hello.c in Fortran, on the C functions alone: each rank creates an account on the next rank and calls it.

! What rref.h declares, as far as it is needed here.
module rref_c
  use, intrinsic :: iso_c_binding
  implicit none

  integer(c_int), parameter :: rref_ok = 0, rref_err_argument = -1, rref_err_no_memory = -14
  integer(c_int16_t), parameter :: scalar = 1, out = 4, out_array = 5           ! rref_kind
  integer(c_int16_t), parameter :: i64 = 5, str = 14                            ! rref_type
  real(c_double), parameter :: rref_forever = 1e300_c_double

  type, bind(c) :: rref
    integer(c_int64_t) :: bits = 0
  end type
  type, bind(c) :: rref_future
    integer(c_int64_t) :: bits = 0
  end type
  type, bind(c) :: rref_value
    integer(c_int16_t) :: kind = 0, element = 0
    integer(c_int32_t) :: size = 0
    integer(c_int64_t) :: count = 0, bits = 0, extra = 0
  end type
  type, bind(c) :: rref_method
    type(c_ptr) :: name = c_null_ptr, signature = c_null_ptr
    type(c_funptr) :: handler = c_null_funptr
    integer(c_int) :: flags = 0
  end type
  type, bind(c) :: rref_class
    type(c_ptr) :: name = c_null_ptr, signature = c_null_ptr
    type(c_funptr) :: create = c_null_funptr, destroy = c_null_funptr
    type(c_ptr) :: methods = c_null_ptr
    integer(c_int) :: flags = 0
    type(c_ptr) :: hooks = c_null_ptr
  end type
  type, bind(c) :: rref_options
    type(c_ptr) :: classes = c_null_ptr, functions = c_null_ptr, functions_self = c_null_ptr, name = c_null_ptr
    type(c_funptr) :: on_error = c_null_funptr
    type(c_ptr) :: on_error_arg = c_null_ptr, progress = c_null_ptr
    real(c_double) :: timeout = 0, finalize_timeout = 0
    integer(c_int64_t) :: reserved(8) = 0
  end type

  interface
    integer(c_int) function rref_init_f(comm, options, context) bind(c)
      import
      integer(c_int), value :: comm             ! MPI_Fint
      type(rref_options), intent(in) :: options
      type(c_ptr), intent(out) :: context
    end function
    integer(c_int) function rref_finalize(context) bind(c)
      import
      type(c_ptr), intent(inout) :: context
    end function
    integer(c_int) function rref_rank(context) bind(c)
      import
      type(c_ptr), value :: context
    end function
    integer(c_int) function rref_size(context) bind(c)
      import
      type(c_ptr), value :: context
    end function
    subroutine rref_perror(context, prefix) bind(c)
      import
      type(c_ptr), value :: context
      character(kind=c_char), intent(in) :: prefix(*)
    end subroutine

    type(rref) function rref_create_v(context, rank, values, count, site) bind(c)
      import
      type(c_ptr), value :: context, site
      integer(c_int), value :: rank
      type(rref_value), intent(in) :: values(*)
      integer(c_size_t), value :: count
    end function
    integer(c_int) function rref_sync_v(target, values, count, site) bind(c)
      import
      type(rref), value :: target
      type(rref_value), intent(in) :: values(*)
      integer(c_size_t), value :: count
      type(c_ptr), value :: site
    end function
    type(rref_future) function rref_async_v(target, values, count, site) bind(c)
      import
      type(rref), value :: target
      type(rref_value), intent(in) :: values(*)
      integer(c_size_t), value :: count
      type(c_ptr), value :: site
    end function
    integer(c_int) function rref_post_v(target, values, count, site) bind(c)
      import
      type(rref), value :: target
      type(rref_value), intent(in) :: values(*)
      integer(c_size_t), value :: count
      type(c_ptr), value :: site
    end function
    integer(c_int) function rref_release(reference) bind(c)
      import
      type(rref), value :: reference
    end function
    integer(c_int) function rref_wait(future, timeout) bind(c)
      import
      type(rref_future), value :: future
      real(c_double), value :: timeout
    end function
    integer(c_int) function rref_future_release(future) bind(c)
      import
      type(rref_future), value :: future
    end function

    integer(c_int64_t) function rref_arg_i64(call, index) bind(c)
      import
      type(c_ptr), value :: call
      integer(c_int), value :: index
    end function
    type(c_ptr) function rref_arg_str(call, index) bind(c)
      import
      type(c_ptr), value :: call
      integer(c_int), value :: index
    end function
    integer(c_int) function rref_return_v(call, values, count) bind(c)
      import
      type(c_ptr), value :: call
      type(rref_value), intent(in) :: values(*)
      integer(c_size_t), value :: count
    end function

    integer(c_size_t) function strlen(text) bind(c)                             ! of C itself
      import
      type(c_ptr), value :: text
    end function
  end interface

contains

  pure integer(c_int64_t) function address(p)
    type(c_ptr), intent(in) :: p
    address = transfer(p, address)
  end function

  ! Arguments ...
  pure type(rref_value) function of_i64(x)
    integer(c_int64_t), intent(in) :: x
    of_i64 = rref_value(scalar, i64, 8, 1, x, 0)
  end function

  type(rref_value) function of_str(text)
    character(kind=c_char, len=*), target, intent(in) :: text           ! ends in c_null_char
    of_str = rref_value(scalar, str, 1, 0, address(c_loc(text)), 0)
  end function

  ! ... and room for results.
  type(rref_value) function out_i64(x)
    integer(c_int64_t), target, intent(in) :: x
    out_i64 = rref_value(out, i64, 8, 1, address(c_loc(x)), 0)
  end function

  type(rref_value) function out_str(text)
    character(kind=c_char, len=*), target, intent(in) :: text
    out_str = rref_value(out_array, str, 1, len(text), address(c_loc(text)), 0)
  end function

  ! A C string.
  function string(p) result(text)
    type(c_ptr), intent(in) :: p
    character(kind=c_char, len=:), allocatable :: text
    character(kind=c_char), pointer :: letters(:)
    integer :: i
    call c_f_pointer(p, letters, [strlen(p)])
    allocate(character(kind=c_char, len=size(letters)) :: text)
    do i = 1, size(letters)
      text(i:i) = letters(i)
    end do
  end function

end module rref_c


! The class: an ordinary type, handlers, and their table.
module accounts
  use rref_c
  implicit none

  type :: account
    integer(c_int64_t) :: balance
  end type

  ! Tables point to their strings, so these must stay.
  character(kind=c_char, len=*), parameter :: nul = c_null_char
  character(kind=c_char, len=8), target, save :: account_name = 'account' // nul, constructor = 'i64' // nul
  character(kind=c_char, len=8), target, save :: deposit_name = 'deposit' // nul, greet_name = 'greet' // nul
  character(kind=c_char, len=12), target, save :: deposit_signature = 'i64 -> i64' // nul
  character(kind=c_char, len=12), target, save :: greet_signature = 'str -> str' // nul
  type(rref_method), target, save :: methods(3)                         ! the last one stays empty
  type(rref_class), target, save :: account_class
  type(c_ptr), target, save :: classes(2) = c_null_ptr

contains

  subroutine make_class()
    methods(1) = rref_method(c_loc(deposit_name), c_loc(deposit_signature), c_funloc(deposit), 0)
    methods(2) = rref_method(c_loc(greet_name), c_loc(greet_signature), c_funloc(greet), 0)
    account_class = rref_class(c_loc(account_name), c_loc(constructor), c_funloc(create), c_funloc(destroy), &
                               c_loc(methods), 0)
    classes(1) = c_loc(account_class)
  end subroutine

  integer(c_int) function create(call, self) bind(c, name='')
    type(c_ptr), value :: call
    type(c_ptr), intent(out) :: self
    type(account), pointer :: a
    integer :: failed
    create = rref_err_no_memory
    allocate(a, stat=failed)
    if (failed /= 0) return
    a%balance = rref_arg_i64(call, 0)
    self = c_loc(a)
    create = rref_ok
  end function

  subroutine destroy(self) bind(c, name='')
    type(c_ptr), value :: self
    type(account), pointer :: a
    call c_f_pointer(self, a)
    deallocate(a)
  end subroutine

  integer(c_int) function deposit(call, self) bind(c, name='')
    type(c_ptr), value :: call, self
    type(account), pointer :: a
    call c_f_pointer(self, a)
    deposit = rref_err_argument
    if (rref_arg_i64(call, 0) <= 0) return
    a%balance = a%balance + rref_arg_i64(call, 0)
    deposit = rref_return_v(call, [of_i64(a%balance)], 1_c_size_t)
  end function

  integer(c_int) function greet(call, self) bind(c, name='')
    type(c_ptr), value :: call, self
    type(account), pointer :: a
    character(kind=c_char, len=100), target :: text
    character(len=20) :: balance
    call c_f_pointer(self, a)
    write (balance, '(i0)') a%balance
    text = 'hello ' // string(rref_arg_str(call, 0)) // ', you have ' // trim(balance) // nul
    text(len(text):) = nul                      ! whoever has a long name sees less
    greet = rref_return_v(call, [of_str(text)], 1_c_size_t)
  end function

end module accounts


program hello
  use rref_c
  use accounts
  use mpi
  implicit none
  type(c_ptr) :: context
  integer :: level, error, wrong

  call MPI_Init_thread(MPI_THREAD_MULTIPLE, level, error)
  call make_class()
  if (rref_init_f(MPI_COMM_WORLD, rref_options(classes=c_loc(classes)), context) /= rref_ok) then
    call rref_perror(c_null_ptr, 'hello' // nul)
    call MPI_Abort(MPI_COMM_WORLD, 1, error)
  end if
  wrong = 0
  call say_hello()
  if (rref_finalize(context) /= rref_ok) then
    call rref_perror(c_null_ptr, 'hello' // nul)
    wrong = wrong + 1
  end if
  call MPI_Finalize(error)
  if (wrong > 0) stop 1

contains

  subroutine check(good)
    logical, intent(in) :: good
    if (.not. good) wrong = wrong + 1
  end subroutine

  subroutine say_hello()
    integer(c_int) :: rank, next
    integer(c_int64_t) :: first
    integer(c_int64_t), target, asynchronous :: balance
    character(kind=c_char, len=20), target :: name
    character(kind=c_char, len=100), target :: text
    type(rref) :: a
    type(rref_future) :: f

    rank = rref_rank(context)
    next = mod(rank + 1, rref_size(context))
    first = 100 * rank
    write (name, '(a, i0, a)') 'rank ', rank, nul
    text = nul

    ! The object lives on the next rank and is usable at once.
    a = rref_create_v(context, next, [of_str(account_name), of_i64(first)], 2_c_size_t, c_null_ptr)
    ! One-way: nothing comes back. Asynchronous: the result comes later.
    call check(rref_post_v(a, [of_str(deposit_name), of_i64(1_c_int64_t)], 2_c_size_t, c_null_ptr) == rref_ok)
    f = rref_async_v(a, [of_str(deposit_name), of_i64(2_c_int64_t), out_i64(balance)], 3_c_size_t, c_null_ptr)
    call check(rref_sync_v(a, [of_str(greet_name), of_str(name), out_str(text)], 3_c_size_t, c_null_ptr) == rref_ok)
    call check(rref_wait(f, rref_forever) == rref_ok)
    call check(balance == first + 3)            ! calls run in the order they were made
    if (wrong > 0) call rref_perror(context, 'hello' // nul)
    print '(2a, i0, 2a)', name(:index(name, nul) - 1), ', from rank ', next, ': ', text(:index(text, nul) - 1)

    ! An error comes back to who called.
    call check(rref_sync_v(a, [of_str(deposit_name), of_i64(-5_c_int64_t)], 2_c_size_t, c_null_ptr) &
               == rref_err_argument)
    call check(rref_future_release(f) == rref_ok)
    call check(rref_release(a) == rref_ok)
  end subroutine

end program hello

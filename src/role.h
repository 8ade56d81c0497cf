/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Roles of threads, for clang's -Wthread-safety; other compilers see nothing of them. A role is had by who holds a lock of some
 * kind, or drives MPI. Fields say which role they belong to, functions which one their caller must have; the locking keys at the
 * heads of the files say the same for people.
 *
 * C has no way to say "the lock of this very struct" at a field. So a role stands for all locks of its kind: what is found out is
 * that a lock was not taken or not given back, not that it was the lock of another item.
 */
#ifndef RRI_ROLE_H
#define RRI_ROLE_H

#ifdef __clang__
#define RRI_ATTRIBUTE(a) __attribute__((a))
#else
#define RRI_ATTRIBUTE(a)
#endif

typedef struct RRI_ATTRIBUTE(capability("role")) rri_role { char none; } rri_role;

/* Declare a role; it has no place in memory that anybody would look at. */
#define RRI_ROLE(name) static const rri_role name __attribute__((unused))

/* Of a field; of what a field points to. */
#define RRI_OWNED(role) RRI_ATTRIBUTE(guarded_by(role))
#define RRI_OWNED_THERE(role) RRI_ATTRIBUTE(pt_guarded_by(role))

/* Of a function: its caller has the role; must not have it; the function gets it, gives it up, gets it if it returns true. */
#define RRI_NEEDS(...) RRI_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define RRI_WITHOUT(...) RRI_ATTRIBUTE(locks_excluded(__VA_ARGS__))
#define RRI_GETS(...) RRI_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define RRI_GIVES(...) RRI_ATTRIBUTE(release_capability(__VA_ARGS__))
#define RRI_TRIES(...) RRI_ATTRIBUTE(try_acquire_capability(true, __VA_ARGS__))

/* Whose roles come and go in ways that cannot be said; a comment there says how. */
#define RRI_UNCHECKED RRI_ATTRIBUTE(no_thread_safety_analysis)

/* From here on the role is there, as the code has found out by other means. */
static inline void rri_has(const rri_role *role) RRI_ATTRIBUTE(assert_capability(role));
static inline void rri_has(const rri_role *role) { (void)role; }

/* It is gone, in the same way. */
static inline void rri_gone(const rri_role *role) RRI_GIVES(role) RRI_UNCHECKED;
static inline void rri_gone(const rri_role *role) { (void)role; }

/* Drives MPI for some context. */
RRI_ROLE(rri_driver);

#endif

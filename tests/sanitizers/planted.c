/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Makes the one mistake it is told, after MPI_Init as in any test, so that planted.sh can see that the sanitizer of this
 * build finds it under the very settings the tests run with. Built in sanitizer builds only.
 */
#include <mpi.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void leak(void)
{
    char *volatile lost = malloc(100);
    lost = NULL;
    (void)lost;
}

static void freed(void)
{
    char *volatile text = calloc(8, 1);
    free(text);
    printf("%c\n", text[3]);        /* the mistake */
}

static void overflow(void)
{
    volatile int most = 0x7fffffff;
    most = most + 1;
}

static int shared;

static void *add(void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++) shared++;
    return NULL;
}

static void race(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, add, NULL)) return;
    add(NULL);
    pthread_join(thread, NULL);
}

static void nothing(void) { }

int main(int argc, char **argv)
{
    static const struct { const char *name; void (*make)(void); } mistakes[] = {
        { "leak", leak }, { "freed", freed }, { "overflow", overflow }, { "race", race }, { "nothing", nothing },
    };
    int level;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &level);
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++)
        if (argc == 2 && !strcmp(argv[1], mistakes[i].name)) mistakes[i].make();
    MPI_Barrier(MPI_COMM_WORLD);
    MPI_Finalize();
    return 0;
}

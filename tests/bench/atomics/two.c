/* Two threads at one word: the loads of ADR-0055. Prints the nanoseconds from before the threads begin to their end. */
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static _Atomic uint32_t word __attribute__((aligned(64)));
static _Atomic uint32_t here __attribute__((aligned(64)));
static long rounds;

static void meet(void) {
    atomic_fetch_add(&here, 1);
    while (atomic_load(&here) < 2) {}
}

static void *counter(void *me) {
    meet();
    for (long i = 0; i < rounds; i++) atomic_fetch_add(&word, 1);
    return me;
}

static void *exchange(void *me) {
    meet();
    for (long i = 0; i < rounds; i++) {
        uint32_t old = atomic_load(&word);
        while (!atomic_compare_exchange_strong(&word, &old, old + 1)) {}
    }
    return me;
}

static void *pingpong(void *me) {
    uint32_t mine = (uint32_t)(uintptr_t)me;
    meet();
    for (long i = 0; i < rounds; i++) {
        while (atomic_load(&word) != mine) syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 1 - mine, NULL, NULL, 0);
        atomic_store(&word, 1 - mine);
        syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
    return me;
}

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int main(int n, char **given) {
    void *(*work)(void *) = NULL;
    pthread_t threads[2];
    if (n == 3) {
        rounds = atol(given[2]);
        work = !strcmp(given[1], "counter") ? counter : !strcmp(given[1], "exchange") ? exchange : pingpong;
    }
    if (!work) return 1;
    int64_t begin = now();
    for (uintptr_t i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, work, (void *)i)) return 1;
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    printf("%lld %u\n", (long long)(now() - begin), word);
    return 0;
}

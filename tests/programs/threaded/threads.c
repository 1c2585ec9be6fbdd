/* POSIX threads: what they share, what they wait for, and what they give back. Without arguments every case that writes
   the same each time; else the cases that are named, among them those that end in other ways. */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 8 };
typedef void *(*work)(void *);

static pthread_t team[MOST];

static void begin(int count, work body) {
    for (intptr_t i = 0; i < count; i++) {
        int error = pthread_create(&team[i], NULL, body, (void *)i);
        if (error) {
            printf("thread %d: error %d\n", (int)i, error);
            exit(99);
        }
    }
}

static intptr_t end(int count) {
    intptr_t total = 0;
    for (int i = 0; i < count; i++) {
        void *result;
        pthread_join(team[i], &result);
        total += (intptr_t)result;
    }
    return total;
}

/* ---- results ---- */

static void *square(void *number) {
    return (void *)((intptr_t)number * (intptr_t)number);
}

static void join(void) {
    intptr_t results[MOST];
    begin(MOST, square);
    for (int i = 0; i < MOST; i++) {
        void *result;
        pthread_join(team[i], &result);
        results[i] = (intptr_t)result;
    }
    for (int i = 0; i < MOST; i++)
        printf("join %d: %d\n", i, (int)results[i]);
}

/* ---- mutexes ---- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long counted, tried;

static void *count(void *number) {
    for (int i = 0; i < 2000; i++) {
        if (pthread_mutex_trylock(&mutex))
            pthread_mutex_lock(&mutex);
        counted += 1 + (i & (intptr_t)number);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

static void mutexes(void) {
    counted = 0;
    begin(4, count);
    end(4);
    printf("mutex: %ld\n", counted);
    pthread_mutexattr_t kind;
    pthread_mutex_t again;
    pthread_mutexattr_init(&kind);
    pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&again, &kind);
    printf("recursive: %d %d\n", pthread_mutex_lock(&again), pthread_mutex_lock(&again));
    pthread_mutex_unlock(&again);
    pthread_mutex_unlock(&again);
}

static pthread_rwlock_t both = PTHREAD_RWLOCK_INITIALIZER;
static int left, right;

static void *balance(void *number) {
    int uneven = 0;
    for (int i = 0; i < 500; i++) {
        if ((intptr_t)number & 1) {
            pthread_rwlock_wrlock(&both);
            left++, right++;
        } else {
            pthread_rwlock_rdlock(&both);
            uneven += left != right;
        }
        pthread_rwlock_unlock(&both);
    }
    return (void *)(intptr_t)uneven;
}

static void rwlocks(void) {
    left = right = 0;
    begin(4, balance);
    int uneven = (int)end(4);
    printf("rwlock: %d %d, %d uneven\n", left, right, uneven);
}

/* ---- conditions ---- */

static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int turn;

static void *play(void *number) {
    for (int i = 0; i < 100; i++) {
        pthread_mutex_lock(&mutex);
        while (turn % 2 != (int)(intptr_t)number)
            pthread_cond_wait(&changed, &mutex);
        turn++;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

static void conditions(void) {
    turn = 0;
    begin(2, play);
    end(2);
    printf("condition: %d turns\n", turn);
    struct timespec soon;
    clock_gettime(CLOCK_REALTIME, &soon);
    soon.tv_nsec += 2000000;
    if (soon.tv_nsec >= 1000000000)
        soon.tv_sec++, soon.tv_nsec -= 1000000000;
    pthread_mutex_lock(&mutex);
    int error;
    while (!(error = pthread_cond_timedwait(&changed, &mutex, &soon)))
        ;
    pthread_mutex_unlock(&mutex);
    printf("timed: %s\n", error == ETIMEDOUT ? "out" : "?");
}

static pthread_barrier_t barrier;
static atomic_int arrived;

static void *march(void *number) {
    intptr_t wrong = 0, serial = 0;
    for (int round = 1; round <= 20; round++) {
        atomic_fetch_add(&arrived, 1);
        serial += pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD;
        wrong += atomic_load(&arrived) != 4 * round;
        pthread_barrier_wait(&barrier);
    }
    return (void *)(serial + 1000 * wrong);
}

static void barriers(void) {
    arrived = 0;
    pthread_barrier_init(&barrier, NULL, 4);
    begin(4, march);
    printf("barrier: %d\n", (int)end(4));
    pthread_barrier_destroy(&barrier);
}

static sem_t items, room;
static int ring[4], put_at, take_at;

static void *produce(void *number) {
    for (int i = 1; i <= 200; i++) {
        sem_wait(&room);
        pthread_mutex_lock(&mutex);
        ring[put_at++ % 4] = i;
        pthread_mutex_unlock(&mutex);
        sem_post(&items);
    }
    return NULL;
}

static void *consume(void *number) {
    if ((intptr_t)number < 2)
        return produce(number);
    intptr_t total = 0;
    for (int i = 1; i <= 200; i++) {
        sem_wait(&items);
        pthread_mutex_lock(&mutex);
        total += ring[take_at++ % 4];
        pthread_mutex_unlock(&mutex);
        sem_post(&room);
    }
    return (void *)total;
}

static void semaphores(void) {
    put_at = take_at = 0;
    sem_init(&items, 0, 0);
    sem_init(&room, 0, 4);
    begin(4, consume);
    printf("semaphore: %d\n", (int)end(4));
    printf("left: %d\n", put_at - take_at);
}

/* ---- what each has for itself, and what happens once ---- */

static _Thread_local int own = 5;
static _Thread_local char room_of_its_own[300];
static pthread_key_t key;
static atomic_int destroyed;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static atomic_int firsts;

static void destroy(void *value) {
    atomic_fetch_add(&destroyed, (int)(intptr_t)value);
}

static void first(void) {
    atomic_fetch_add(&firsts, 1);
}

static void *keep(void *number) {
    intptr_t wrong = own != 5 || room_of_its_own[299];
    for (int i = 0; i < 100; i++) {
        own += (int)(intptr_t)number;
        room_of_its_own[299] = (char)(intptr_t)number;
    }
    pthread_setspecific(key, (void *)((intptr_t)number + 1));
    pthread_once(&once, first);
    wrong += pthread_getspecific(key) != (void *)((intptr_t)number + 1);
    return (void *)(own + 100000 * wrong);
}

static void locals(void) {
    destroyed = 0;
    pthread_key_create(&key, destroy);
    own = 7;
    begin(MOST, keep);
    printf("own: %d", (int)end(MOST));
    printf(", main's %d, destroyed %d, first %d\n", own, destroyed, firsts);
    own = 5;
    pthread_key_delete(key);
}

static sem_t done;
static atomic_int detached_sum;

static void *leave(void *number) {
    atomic_fetch_add(&detached_sum, (int)(intptr_t)number);
    sem_post(&done);
    return NULL;
}

static void detached(void) {
    detached_sum = 0;
    sem_init(&done, 0, 0);
    pthread_attr_t kind;
    pthread_attr_init(&kind);
    pthread_attr_setdetachstate(&kind, PTHREAD_CREATE_DETACHED);
    for (intptr_t i = 1; i <= 20; i++) {
        pthread_t one;
        while (pthread_create(&one, &kind, leave, (void *)i) == EAGAIN)
            sched_yield();
    }
    for (int i = 0; i < 20; i++)
        sem_wait(&done);
    printf("detached: %d\n", detached_sum);
}

/* ---- work that is shared ---- */

enum { NUMBERS = 40000, SIDE = 48 };
static int numbers[NUMBERS];
static int one[SIDE][SIDE], other[SIDE][SIDE], product[SIDE][SIDE];

static void *add(void *number) {
    intptr_t total = 0, part = NUMBERS / 4, start = (intptr_t)number * part;
    for (intptr_t i = start; i < start + part; i++)
        total += numbers[i] % 1000;
    return (void *)total;
}

static void *multiply(void *number) {
    for (int i = (int)(intptr_t)number; i < SIDE; i += 4)
        for (int j = 0; j < SIDE; j++) {
            int total = 0;
            for (int k = 0; k < SIDE; k++)
                total += one[i][k] * other[k][j];
            product[i][j] = total;
        }
    return NULL;
}

static void sums(void) {
    uint32_t seed = 1;
    for (int i = 0; i < NUMBERS; i++)
        numbers[i] = (int)((seed = seed * 1664525 + 1013904223) >> 8);
    begin(4, add);
    printf("sum: %d\n", (int)end(4));
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++)
            one[i][j] = (i * j) % 7, other[i][j] = i - j;
    begin(4, multiply);
    end(4);
    uint32_t hash = 0;
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++)
            hash = hash * 31 + (uint32_t)product[i][j];
    printf("product: %08x\n", (unsigned)hash);
}

static void *fill(void *number) {
    intptr_t wrong = 0;
    for (int i = 0; i < 60; i++) {
        size_t size = 100 + 3000 * (size_t)(i % 7);
        unsigned char *block = malloc(size);
        memset(block, (int)(intptr_t)number, size);
        sched_yield();
        for (size_t at = 0; at < size; at += 97)
            wrong += block[at] != (unsigned char)(intptr_t)number;
        free(block);
    }
    char *large = malloc(1 << 20);  /* memory grows while others use it */
    large[(1 << 20) - 1] = (char)(intptr_t)number;
    wrong += large[(1 << 20) - 1] != (char)(intptr_t)number;
    free(large);
    return (void *)wrong;
}

static void blocks(void) {
    begin(MOST, fill);
    printf("blocks: %d wrong\n", (int)end(MOST));
}

static _Atomic uint64_t wide;
static atomic_uint highest;
static _Atomic unsigned char narrow;

static void *race(void *number) {
    for (unsigned i = 1; i <= 1000; i++) {
        atomic_fetch_add(&wide, (uint64_t)1 << 33);
        atomic_fetch_xor(&narrow, (unsigned char)(1 << (intptr_t)number));
        unsigned mine = i * MOST + (unsigned)(intptr_t)number, seen = atomic_load(&highest);
        while (seen < mine && !atomic_compare_exchange_weak(&highest, &seen, mine))
            ;
    }
    return NULL;
}

static void atomics(void) {
    wide = 0, highest = 0, narrow = 0;
    begin(MOST, race);
    end(MOST);
    printf("atomic: %llx %u %d\n", (unsigned long long)wide, highest, narrow);
}

/* ---- cases whose output differs from run to run ---- */

static void *say(void *number) {
    for (int i = 0; i < 50; i++)
        printf("thread %d line %d\n", (int)(intptr_t)number, i);
    return NULL;
}

static void lines(void) {
    begin(4, say);
    end(4);
}

static void *file_of_its_own(void *number) {
    char name[40], text[40];
    intptr_t wrong = 0;
    for (int i = 0; i < 10; i++) {
        sprintf(name, "/file%d", (int)(intptr_t)number);
        FILE *file = fopen(name, "w");
        if (!file)
            return (void *)(intptr_t)1000;
        fprintf(file, "%d of %d\n", i, (int)(intptr_t)number);
        fclose(file);
        file = fopen(name, "r");
        sprintf(name, "%d of %d\n", i, (int)(intptr_t)number);
        wrong += !file || !fgets(text, sizeof text, file) || strcmp(text, name);
        fclose(file);
    }
    return (void *)wrong;
}

static FILE *log_file;

static void *log_lines(void *number) {
    for (int i = 0; i < 50; i++)
        fprintf(log_file, "%d:%d\n", (int)(intptr_t)number, i), fflush(log_file);
    return NULL;
}

static void files(void) {
    begin(4, file_of_its_own);
    printf("files: %d wrong\n", (int)end(4));
    log_file = fopen("/log", "w");
    begin(4, log_lines);
    end(4);
    fclose(log_file);
}

/* ---- ends ---- */

static sem_t started, never;

static void *ends_process(void *number) {
    sem_wait(&started);
    exit(7);
}

static void *traps(void *number) {
    sem_wait(&started);
    __builtin_trap();
}

static void *spins(void *number) {
    volatile unsigned turns = 0;
    sem_post(&started);
    for (;;)
        turns++;
}

static void *waits(void *number) {
    sem_post(&started);
    sem_wait(&never);
    return NULL;
}

static void *sleeps(void *number) {
    sem_post(&started);
    for (;;)
        sleep(1000);
}

static void *reads(void *number) {
    char text[100];
    sem_post(&started);
    return (void *)(intptr_t)read(0, text, sizeof text);  /* not stdin: who exits waits for who has its lock */
}

static work others[] = {spins, waits, sleeps, reads};

static void *another(void *number) {
    return others[(intptr_t)number](number);
}

static void begin_others(int count) {
    sem_init(&started, 0, 0);
    sem_init(&never, 0, 0);
    begin(count, another);
    for (int i = 0; i < count; i++)
        sem_wait(&started);
    fputs("started\n", stdout);
    fflush(stdout);
}

static void with(work last) {
    begin_others(4);
    pthread_create(&team[4], NULL, last, NULL);
    sem_post(&started);
    pthread_join(team[1], NULL);  /* which never ends */
}

static void many(int wanted) {
    pthread_t *made = malloc(sizeof *made * (size_t)wanted);
    int error = 0, before = 0;
    for (int round = 0; round < 2; round++) {
        int count = 0;
        sem_init(&started, 0, 0);
        sem_init(&never, 0, 0);
        while (count < wanted) {
            error = pthread_create(&made[count], NULL, waits, NULL);
            if (!error)
                count++;
            else if (error != EAGAIN || count >= before)  /* else one that was joined is about to leave */
                break;
        }
        printf("many: %d%s\n", count, error == EAGAIN ? ", no more" : "");
        before = count;
        for (int i = 0; i < count; i++)
            sem_post(&never);
        for (int i = 0; i < count; i++)
            pthread_join(made[i], NULL);
    }
    free(made);
}

static unsigned steps;

static void *work_alone(void *number) {
    uint32_t x = 1 + (uint32_t)(intptr_t)number;
    for (unsigned i = 0; i < steps; i++)
        x ^= x << 13, x ^= x >> 17, x ^= x << 5;
    return (void *)(intptr_t)(x & 0xFFFF);
}

static void work_of(int count, const char *of_each) {  /* to be measured */
    steps = (unsigned)atol(of_each);
    begin(count, work_alone);
    printf("work: %d\n", (int)end(count));
}

static void always(void) {
    join(), mutexes(), rwlocks(), conditions(), barriers(), semaphores(), locals(), detached(), sums(), blocks();
    atomics();
}

int main(int count, char **words) {
    if (count < 2)
        always();
    for (int i = 1; i < count; i++) {
        const char *word = words[i];
        if (!strcmp(word, "always")) always();
        else if (!strcmp(word, "join")) join();
        else if (!strcmp(word, "locals")) locals();
        else if (!strcmp(word, "atomics")) atomics();
        else if (!strcmp(word, "sums")) sums();
        else if (!strcmp(word, "lines")) lines();
        else if (!strcmp(word, "files")) files();
        else if (!strcmp(word, "many")) many(atoi(words[++i]));
        else if (!strcmp(word, "work")) work_of(atoi(words[i + 1]), words[i + 2]), i += 2;
        else if (!strcmp(word, "return")) { begin_others(4); return 3; }
        else if (!strcmp(word, "exit")) with(ends_process);
        else if (!strcmp(word, "trap")) with(traps);
        else if (!strcmp(word, "spin")) { begin_others(4); spins(NULL); }
        else if (!strcmp(word, "wait")) { begin_others(4); waits(NULL); }
        else if (!strcmp(word, "sleep")) { begin_others(4); sleeps(NULL); }
        else if (!strcmp(word, "read")) { begin_others(4); reads(NULL); }
        else if (!strcmp(word, "talk")) {  /* one waits for its input while others go on */
            sem_init(&started, 0, 0);
            pthread_create(&team[0], NULL, reads, NULL);
            sem_wait(&started);
            begin(0, NULL);
            for (int turn = 0; turn < 3; turn++)
                pthread_create(&team[1], NULL, square, (void *)(intptr_t)turn), pthread_join(team[1], NULL);
            puts("others are done");
            fflush(stdout);
            printf("read %d\n", (int)end(1));
        } else { fprintf(stderr, "%s?\n", word); return 98; }
    }
    return 0;
}

// C that jumps: setjmp and longjmp, which compilers make of WebAssembly's exceptions.
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#ifdef __wasm__
#define EXPORT(name) __attribute__((used, export_name(#name)))
__attribute__((import_module("env"), import_name("host"))) int host(int);
#else
#define EXPORT(name)
int host(int);
#endif

static jmp_buf outer, inner, levels[8];
static volatile int steps;

__attribute__((noinline)) static void deep(int depth, int value) {
    volatile char room[64];
    memset((void *)room, depth, sizeof room);
    if (depth == 0)
        longjmp(outer, value);
    deep(depth - 1, value);
    steps += room[0];
}

__attribute__((noinline)) static int level(int n) {
    int got = setjmp(levels[n]);
    if (got)
        return 10 * n + got;
    if (n == 7)
        longjmp(levels[2], 5); // over five of them
    return 1000 + level(n + 1);
}

struct task {
    int value;
    char error[32];
};

static int parse(const char **text, jmp_buf fail, struct task *task);

static int atom(const char **text, jmp_buf fail, struct task *task) {
    if (**text == '(') {
        ++*text;
        int value = parse(text, fail, task);
        if (**text != ')') {
            snprintf(task->error, sizeof task->error, "expected ) before '%s'", *text);
            longjmp(fail, 2);
        }
        ++*text;
        return value;
    }
    if (**text < '0' || **text > '9') {
        snprintf(task->error, sizeof task->error, "expected a digit at '%s'", *text);
        longjmp(fail, 1);
    }
    return *(*text)++ - '0';
}

static int parse(const char **text, jmp_buf fail, struct task *task) {
    int value = atom(text, fail, task);
    while (**text == '+' || **text == '*') {
        char op = *(*text)++;
        int other = atom(text, fail, task);
        value = op == '+' ? value + other : value * other;
    }
    return value;
}

static void calculate(const char *text) {
    jmp_buf fail;
    struct task task = {0, ""};
    const char *at = text;
    int failed = setjmp(fail);
    if (failed)
        printf("%s: error %d, %s\n", text, failed, task.error);
    else
        printf("%s = %d\n", text, parse(&at, fail, &task));
}

EXPORT(run) int run(void) {
    volatile int count = 0;
    int got = setjmp(outer);
    printf("outer: %d\n", got);
    if (count++ < 4)
        deep(10 * count, count);
    got = setjmp(inner); // in the same function as another one
    printf("inner: %d\n", got);
    if (got < 3)
        longjmp(inner, got + 1);
    got = setjmp(outer);
    printf("zero: %d\n", got);
    if (!got)
        longjmp(outer, 0); // arrives as 1
    printf("levels: %d\n", level(0));
    calculate("1+(2*3)*4");
    calculate("1+(2*3");
    calculate("((1+2)*(3+x))");
    calculate("7");
    fflush(stdout);
    return 0;
}

EXPORT(jumps) int jumps(int value) { // for the host to call: out of it, to `through`
    longjmp(outer, value);
}

EXPORT(through) int through(int value) {
    int got = setjmp(outer);
    if (got)
        return 100 + got;
    return host(value);
}

EXPORT(many) int many(int count) {
    volatile int sum = 0, i = 0;
    while (i < count) {
        int got = setjmp(outer);
        if (got)
            sum += got;
        else
            deep(3, 2);
        i++;
    }
    return sum;
}

#ifndef __wasm__
int host(int value) { return jumps(value); }
int main(void) { return run(); }
#endif

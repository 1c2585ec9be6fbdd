// C++ that throws: what it does stands in lines on its output, which a native compiler's program writes as well.
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#ifdef __wasm__
#define EXPORT(name) extern "C" __attribute__((used, export_name(#name)))
extern "C" __attribute__((import_module("env"), import_name("host"))) int host(int);
#else
#define EXPORT(name) extern "C"
extern "C" int host(int);
#endif

namespace {

struct Shape : std::runtime_error {
    int sides;
    Shape(int n) : std::runtime_error("shape"), sides(n) {}
};
struct Square : Shape {
    Square() : Shape(4) {}
};
struct Left {};
struct Right {};
struct Both : Left, Right {
    int value = 7;
};

std::string trace;

struct Guard { // says when it goes
    char name;
    explicit Guard(char n) : name(n) { trace += n; }
    ~Guard() { trace += static_cast<char>(name - 'a' + 'A'); }
};

__attribute__((noinline)) void fall(int depth) {
    Guard guard(static_cast<char>('a' + depth));
    if (depth == 0)
        throw Square();
    fall(depth - 1);
    trace += '!';
}

__attribute__((noinline)) void pick(int which) {
    switch (which) {
    case 0: throw 42;
    case 1: throw 2.5;
    case 2: throw "text";
    case 3: throw Shape(3);
    case 4: throw Square();
    case 5: throw std::make_unique<int>(11);
    case 6: throw Both();
    case 7: std::vector<int>(3).at(5); break;
    case 8: std::stoi("no number"); break;
    case 9: throw std::string("a string");
    }
}

int caught_by_type(int which) {
    try {
        pick(which);
    } catch (int n) {
        return n;
    } catch (double d) {
        return static_cast<int>(d * 10);
    } catch (const char *text) {
        return static_cast<int>(std::strlen(text));
    } catch (const Square &square) {
        return 100 + square.sides;
    } catch (Shape &shape) {
        return 200 + shape.sides;
    } catch (std::unique_ptr<int> &pointer) {
        return *pointer;
    } catch (Right &) {
        return 300;
    } catch (const std::out_of_range &) {
        return 400;
    } catch (const std::logic_error &) {
        return 500;
    } catch (...) {
        return 600;
    }
    return 0;
}

struct Cleaner { // throws and catches while an exception is on its way
    ~Cleaner() {
        try {
            throw std::uncaught_exceptions();
        } catch (int n) {
            trace += static_cast<char>('0' + n);
        }
    }
};

struct Part {
    Guard first;
    std::unique_ptr<Guard> second;
    Part() try : first('f'), second(new Guard('s')) {
        throw Left();
    } catch (Left &) {
        trace += '<'; // the parts are gone; it goes on by itself
    }
};

int again(int depth) { // throws again what it caught, a level deeper each time
    try {
        if (depth == 0)
            throw std::invalid_argument("deep");
        return again(depth - 1);
    } catch (const std::logic_error &) {
        trace += static_cast<char>('0' + depth);
        throw;
    }
}

std::exception_ptr kept;

void say(const std::exception &error, int depth = 0) {
    std::printf("%*s%s\n", 2 * depth, "", error.what());
    try {
        std::rethrow_if_nested(error);
    } catch (const std::exception &inner) {
        say(inner, depth + 1);
    }
}

void show(const char *what) {
    std::printf("%s: %s\n", what, trace.c_str());
    trace.clear();
}

} // namespace

EXPORT(run) int run() {
    try {
        fall(4);
    } catch (const std::exception &error) {
        trace += error.what();
    }
    show("destructors");
    for (int which = 0; which < 10; which++)
        std::printf("type %d: %d\n", which, caught_by_type(which));
    try {
        Cleaner cleaner;
        Guard guard('g');
        Cleaner other;
        throw Left();
    } catch (Left &) {
    }
    show("while unwinding");
    try {
        Part part;
    } catch (Left &) {
        trace += '>';
    }
    show("a constructor");
    try {
        again(5);
    } catch (const std::invalid_argument &error) {
        kept = std::current_exception();
        trace += error.what();
    }
    show("again");
    try {
        std::rethrow_exception(kept);
    } catch (const std::invalid_argument &error) {
        trace = error.what();
    }
    kept = nullptr;
    show("kept");
    try {
        try {
            try {
                throw std::out_of_range("nothing there");
            } catch (...) {
                std::throw_with_nested(std::runtime_error("while looking"));
            }
        } catch (...) {
            std::throw_with_nested(Shape(5));
        }
    } catch (const std::exception &error) {
        say(error);
    }
    std::fflush(stdout);
    return 0;
}

EXPORT(fails) int fails(int number) { // for the host to call
    Guard guard('h');
    if (number < 0)
        throw std::runtime_error("number " + std::to_string(number));
    return number;
}

EXPORT(through) int through(int number) { // the host calls `fails`, or raises an error of its own
    Guard guard('t');
    try {
        return host(number);
    } catch (const std::runtime_error &error) {
        return -1000 - static_cast<int>(std::strlen(error.what()));
    } catch (...) {
        trace += '?'; // nothing of the host's but what C++ threw
        throw;
    }
}

EXPORT(unwound) int unwound() { // how many guards have gone, and how many have not
    int gone = 0, left = 0;
    for (char c : trace)
        (c < 'a' ? gone : left)++;
    trace.clear();
    return 1000 * (left - gone) + gone;
}

EXPORT(many) int many(int count) { // each passes three frames with something to clean up
    int sum = 0;
    for (int i = 0; i < count; i++) {
        try {
            fall(2);
        } catch (const Square &square) {
            sum += square.sides;
        }
        trace.clear();
    }
    return sum;
}

#ifndef __wasm__
int host(int number) { return fails(number); }
int main() { return run(); }
#endif

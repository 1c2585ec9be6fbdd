"""Links the compiled hot modules into one shared object, which makes them by number.

Python would look for each of a hundred files on a path, open it, and have its symbols bound by the dynamic linker.
Here that happens once. The object is an extension module itself, ``stratavm._hot``: ``key`` tells one link from the
next, ``numbers`` says which modules it has, ``create(spec, number)`` makes one of them as Python's own import does with
a file; ``code`` is the byte code of the other modules (``tools/bytecode.py``); ``alone()`` tells whether this thread is
the only one; between ``quick_imports(True)`` and ``quick_imports(False)`` import statements of what is there are
answered at once; ``changed(folder, lines)`` says what of a manifest is not so any more, ``is_as(path, written)``
whether one file is as it was. The import hook in ``stratavm/__init__.py`` uses them. ``large_pages()`` is for the
command, which has its process for itself; ``gives_memory_back()`` says where they come slowly.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

STEM = "_hot.modules"  # with a dot, so that no search for modules takes the file for one
"""The object's name in the package, without the suffix of extension modules."""
OBJECT_FLAGS = "-c -fvisibility=hidden -DCYTHON_NO_PYINIT_EXPORT"
"""Of each module: what it exports is for the table alone."""

FLAGS = "-Wl,--wrap=PyImport_ImportModule,--wrap=PyImport_ImportModuleLevelObject"
"""Of the link: where modules are loaded ahead, what compiled modules import is looked up (``TAIL``)."""

FORMAT = 2
"""Of the block of byte code: another one is another link."""

HEAD = r"""
#include <Python.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

typedef PyObject *(*Initialise)(void);
extern __attribute__((visibility("hidden"))) const char hot_code[], hot_code_end[];
"""

INCLUDED = r"""
__asm__(
    ".section .rodata\n"
    ".globl hot_code, hot_code_end\n.hidden hot_code, hot_code_end\n"
    "hot_code:\n.incbin \"%s\"\nhot_code_end:\n.byte 0\n"
    ".previous\n");
"""

TAIL = r"""
#define COUNT ((long)(sizeof(modules) / sizeof(modules[0])))

/* PyInit_* gives the definition of a module that is made in two steps; its code runs later, by `_imp.exec_dynamic`. */
static PyObject *create(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "create(spec, number)");
        return NULL;
    }
    long number = PyLong_AsLong(arguments[1]);
    if (number == -1 && PyErr_Occurred())
        return NULL;
    if (number < 0 || number >= COUNT) {
        PyErr_SetString(PyExc_IndexError, "no module has that number");
        return NULL;
    }
    PyObject *definition = modules[number].initialise();
    if (definition == NULL)
        return NULL;
    if (!PyObject_TypeCheck(definition, &PyModuleDef_Type)) {
        PyErr_Format(PyExc_SystemError, "%s is not made in two steps", modules[number].name);
        return NULL;
    }
    return PyModule_FromDefAndSpec((PyModuleDef *)definition, arguments[0]);
}

/* The list of thread states begins with the latest; other threads' are not looked into. */
static PyObject *alone(PyObject *self, PyObject *nothing) {
    PyThreadState *own = PyThreadState_Get();
    int first = PyInterpreterState_ThreadHead(PyThreadState_GetInterpreter(own)) == own;
    return PyBool_FromLong(first && PyThreadState_Next(own) == NULL);
}

/* What import statements call while modules are loaded ahead. Of a module that is there Python would ask whether it is
   a package, by an attribute whose lack is an error that is made and dropped: half of what such a statement takes. */
static PyObject *usual_import;
static PyMethodDef import_method;

static PyObject *entry_of(PyObject *dict, PyObject *name) {
    PyObject *found = PyDict_GetItemWithError(dict, name);
    if (found == NULL)
        PyErr_Clear();
    return found;
}

/* A module that is there as a whole, by what the others' import says of it; of a half-made one Python decides who waits
   for whom. What is made ahead says the same, though half made: only this thread knows of that. */
static PyObject *whole(PyObject *module) {
    static PyObject *spec_name, *flag_name;
    if (module == NULL || !PyModule_CheckExact(module))
        return NULL;
    if (flag_name == NULL && ((spec_name == NULL && (spec_name = PyUnicode_InternFromString("__spec__")) == NULL) ||
                              (flag_name = PyUnicode_InternFromString("_initializing")) == NULL)) {
        PyErr_Clear();
        return NULL;
    }
    PyObject *spec = entry_of(PyModule_GetDict(module), spec_name);
    if (spec == NULL || spec == Py_None)
        return module;
    if (Py_TYPE(spec)->tp_getattro != PyObject_GenericGetAttr)
        return NULL;
    PyObject *flag = _PyObject_GenericGetAttrWithDict(spec, flag_name, NULL, 1);  /* no error where it has none */
    Py_XDECREF(flag);
    if (flag == NULL && PyErr_Occurred()) {
        PyErr_Clear();
        return NULL;
    }
    return flag == NULL || flag == Py_False ? module : NULL;
}

/* The module that an import gives, if it is there and that is all there is to do; nothing is raised. */
static PyObject *imported(PyObject *name, PyObject *names) {
    PyObject *modules = PyImport_GetModuleDict(), *path = NULL;
    if (!PyUnicode_CheckExact(name) || !PyDict_CheckExact(modules))
        return NULL;
    PyObject *module = whole(entry_of(modules, name));
    if (module == NULL)
        return NULL;
    if ((PyTuple_CheckExact(names) || PyList_CheckExact(names)) && PySequence_Fast_GET_SIZE(names) > 0) {
        PyObject *dict = PyModule_GetDict(module);
        path = PyUnicode_InternFromString("__path__");
        int is_package = path == NULL || entry_of(dict, path) != NULL;
        Py_XDECREF(path);
        for (Py_ssize_t i = 0; is_package && i < PySequence_Fast_GET_SIZE(names); i++) {
            PyObject *wanted = PySequence_Fast_GET_ITEM(names, i);
            if (!PyUnicode_CheckExact(wanted) || !entry_of(dict, wanted))
                return NULL;  /* perhaps a module of the package */
        }
        return module;
    }
    if (names != Py_None && !(PyList_CheckExact(names) && PyList_GET_SIZE(names) == 0))
        return NULL;
    Py_ssize_t dot = PyUnicode_FindChar(name, '.', 0, PyUnicode_GET_LENGTH(name), 1);
    if (dot < 0)
        return dot == -1 ? module : NULL;
    PyObject *front = PyUnicode_Substring(name, 0, dot);
    PyObject *package = front == NULL ? NULL : entry_of(modules, front);
    if (front == NULL)
        PyErr_Clear();
    Py_XDECREF(front);
    return whole(package);
}

static PyObject *import_known(PyObject *self, PyObject *const *arguments, Py_ssize_t count, PyObject *keywords) {
    if (count == 5 && keywords == NULL && PyLong_CheckExact(arguments[4]) && PyLong_AsLong(arguments[4]) == 0) {
        PyObject *module = imported(arguments[0], arguments[3]);
        if (module != NULL)
            return Py_NewRef(module);
    }
    return PyObject_Vectorcall(usual_import, arguments, count, keywords);
}

/* What the compiled modules call instead of these two functions of Python's, by the linker's word: for their own import
   statements, and for each module of which they take types or functions, eight hundred times in a start. */
PyObject *__real_PyImport_ImportModule(const char *name);
__attribute__((visibility("hidden"))) PyObject *__wrap_PyImport_ImportModule(const char *name) {
    PyObject *modules = usual_import == NULL ? NULL : PyImport_GetModuleDict();
    PyObject *module = modules != NULL && PyDict_CheckExact(modules) ? PyDict_GetItemString(modules, name) : NULL;
    module = whole(module);
    return module != NULL ? Py_NewRef(module) : __real_PyImport_ImportModule(name);
}

PyObject *__real_PyImport_ImportModuleLevelObject(
    PyObject *name, PyObject *globals, PyObject *locals, PyObject *names, int level);
__attribute__((visibility("hidden"))) PyObject *__wrap_PyImport_ImportModuleLevelObject(
    PyObject *name, PyObject *globals, PyObject *locals, PyObject *names, int level) {
    PyObject *module = usual_import == NULL || level != 0 ? NULL : imported(name, names == NULL ? Py_None : names);
    if (module != NULL)
        return Py_NewRef(module);
    return __real_PyImport_ImportModuleLevelObject(name, globals, locals, names, level);
}

/* Begin to answer import statements, or end it, and whether that was done: not where somebody else answers them. */
static PyObject *quick_imports(PyObject *self, PyObject *begins) {
    PyObject *builtins = PyEval_GetBuiltins();
    PyObject *now = PyDict_GetItemString(builtins, "__import__");
    if (now == NULL || !PyCFunction_CheckExact(now))
        Py_RETURN_FALSE;
    PyCFunction function = PyCFunction_GET_FUNCTION(now);
    if (begins == Py_True && usual_import == NULL) {
        PyObject *name = PyObject_GetAttrString(now, "__module__");
        int is_usual = name != NULL && PyUnicode_Check(name) && PyUnicode_CompareWithASCIIString(name, "builtins") == 0;
        Py_XDECREF(name);
        PyObject *ours = is_usual ? PyCFunction_New(&import_method, NULL) : NULL;
        if (ours != NULL && PyDict_SetItemString(builtins, "__import__", ours) == 0)
            usual_import = Py_NewRef(now);
        Py_XDECREF(ours);
        return PyErr_Occurred() ? NULL : PyBool_FromLong(usual_import != NULL);
    }
    if (begins != Py_True && usual_import != NULL && function == import_method.ml_meth) {
        if (PyDict_SetItemString(builtins, "__import__", usual_import) < 0)
            return NULL;
        Py_CLEAR(usual_import);
        Py_RETURN_TRUE;
    }
    Py_RETURN_FALSE;
}

static PyMethodDef import_method = {
    "__import__", (PyCFunction)(void (*)(void))import_known, METH_FASTCALL | METH_KEYWORDS, "Import a module.",
};

static int is_number(const char *text, const char *end, long long number) {
    char shown[24];
    size_t size = (size_t)snprintf(shown, sizeof shown, "%lld", number);
    return (size_t)(end - text) == size && memcmp(text, shown, size) == 0;
}

/* Whether a file has the time of change and the size that are written with a tab in between. */
static PyObject *is_as(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
    Py_ssize_t size = 0;
    const char *path = count == 2 ? PyUnicode_AsUTF8(arguments[0]) : NULL;
    const char *text = path == NULL ? NULL : PyUnicode_AsUTF8AndSize(arguments[1], &size);
    const char *tab = text == NULL ? NULL : memchr(text, '\t', size);
    struct stat now;
    PyErr_Clear();  /* a path that is no UTF-8: who asks looks for himself */
    int is_same = tab != NULL && stat(path, &now) == 0 &&
                  is_number(text, tab, now.st_ctim.tv_sec * 1000000000ll + now.st_ctim.tv_nsec) &&
                  is_number(tab + 1, text + size, now.st_size);
    return PyBool_FromLong(is_same);
}

/* Of lines "file, path, time of change, size, ..." with tabs in between those whose file, below an open folder, is not
   so; a line without a time is of none. */
static PyObject *changed(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
    Py_ssize_t size;
    int folder = count == 2 ? PyLong_AsLong(arguments[0]) : -1;
    const char *line = count == 2 && !PyErr_Occurred() ? PyUnicode_AsUTF8AndSize(arguments[1], &size) : NULL;
    if (line == NULL) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_TypeError, "changed(folder, lines)");
        return NULL;
    }
    PyObject *found = PyList_New(0);
    for (const char *end = line + size, *next; found != NULL && line < end; line = next) {
        const char *stop = memchr(line, '\n', end - line), *fields[5] = {line};
        stop = stop == NULL ? end : stop;
        next = stop + 1;
        int n = 1;
        for (const char *at = line; n < 5 && (at = memchr(at, '\t', stop - at)) != NULL; at++)
            fields[n++] = at + 1;
        while (n < 5)
            fields[n++] = stop + 1;
        char path[PATH_MAX];
        struct stat now;
        size_t length = fields[2] > fields[1] ? fields[2] - fields[1] - 1 : PATH_MAX;
        int is_same = length < PATH_MAX;
        if (is_same) {
            memcpy(path, fields[1], length);
            path[length] = 0;
            if (fstatat(folder, path, &now, 0) != 0)
                is_same = errno == ENOENT && fields[2] > stop;
            else
                is_same = fields[4] > fields[3] &&
                          is_number(fields[2], fields[3] - 1,
                                    now.st_ctim.tv_sec * 1000000000ll + now.st_ctim.tv_nsec) &&
                          is_number(fields[3], fields[4] - 1, now.st_size);
        }
        PyObject *text = is_same ? NULL : PyUnicode_DecodeUTF8(line, stop - line, NULL);
        if (!is_same && (text == NULL || PyList_Append(found, text) < 0))
            Py_CLEAR(found);
        Py_XDECREF(text);
    }
    return found;
}

/* The first touch of a page of 4 KiB takes 2 us, as long as that of 24 KiB in a page of 2 MiB. */
#define LARGE_PAGE ((size_t)2 << 20)
#define ARENA ((size_t)1 << 20)
#define ARENAS 8
#define HEAP_BYTES ((size_t)12 << 20)
static PyObjectArenaAllocator usual;
static char *next_arena, *first_arena, *end_of_arenas;

static char *aligned(char *place) {
    return (char *)(((uintptr_t)place + LARGE_PAGE - 1) & ~(uintptr_t)(LARGE_PAGE - 1));
}

static void *allocate_arena(void *context, size_t size) {
    if (size != ARENA || next_arena == end_of_arenas)
        return usual.alloc(usual.ctx, size);
    next_arena += ARENA;
    return next_arena - ARENA;
}

/* One of ours is not given out again: few are given back. */
static void free_arena(void *context, void *arena, size_t size) {
    if ((char *)arena >= first_arena && (char *)arena < end_of_arenas)
        madvise(arena, size, MADV_DONTNEED);
    else
        usual.free(usual.ctx, arena, size);
}

/* Whether this is a virtual machine that tells its host which memory is free ("free page reporting"). The host takes
   it, in large pages, and finds it again at the next touch, each page of 4 KiB by itself: then a large one takes 2 to
   5 ms instead of 0.2. The kernel shows the least order of what it tells, and -1 before it does. */
static PyObject *gives_memory_back(PyObject *self, PyObject *nothing) {
    char first = '-';
    int file = open("/sys/module/page_reporting/parameters/page_reporting_order", O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
        if (read(file, &first, 1) != 1)
            first = '-';
        close(file);
    }
    return PyBool_FromLong(first != '-');
}

/* What is given back at once stays at the end of the heap; what is large has pages of its own as ever. */
static PyObject *keep_heap(PyObject *self, PyObject *nothing) {
#ifdef __GLIBC__
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
    mallopt(M_MMAP_THRESHOLD, LARGE_PAGE);
#endif
    Py_RETURN_NONE;
}

/* The next megabytes of Python's objects, and of what C allocates, lie in large pages, where the kernel has some. */
static PyObject *large_pages(PyObject *self, PyObject *nothing) {
    if (first_arena != NULL)
        Py_RETURN_NONE;
    char *place = mmap(NULL, ARENAS * ARENA + LARGE_PAGE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (place != MAP_FAILED) {
        first_arena = next_arena = aligned(place);
        end_of_arenas = first_arena + ARENAS * ARENA;
        madvise(first_arena, ARENAS * ARENA, MADV_HUGEPAGE);
        PyObjectArenaAllocator ours = {NULL, allocate_arena, free_arena};
        PyObject_GetArenaAllocator(&usual);
        PyObject_SetArenaAllocator(&ours);
    }
#ifdef __GLIBC__
    keep_heap(self, nothing);
    mallopt(M_MMAP_THRESHOLD, 2 * HEAP_BYTES);
    char *heap = malloc(HEAP_BYTES);
    if (heap != NULL) {
        char *begin = aligned(heap), *end = aligned(heap + HEAP_BYTES) - LARGE_PAGE;
        madvise(begin, end - begin, MADV_HUGEPAGE);
        free(heap);
        /* Nobody touches what lies before the first large page, which small blocks would begin with. */
        volatile char *unused = begin - heap > 64 ? malloc(begin - heap - 64) : NULL;
        (void)unused;
    }
    mallopt(M_MMAP_THRESHOLD, LARGE_PAGE);
#endif
    Py_RETURN_NONE;
}

static int fill(PyObject *module) {
    PyObject *numbers = PyDict_New();
    if (numbers == NULL)
        return -1;
    for (long i = 0; i < COUNT; i++) {
        PyObject *number = PyLong_FromLong(i);
        if (number == NULL || PyDict_SetItemString(numbers, modules[i].name, number) < 0) {
            Py_XDECREF(number);
            Py_DECREF(numbers);
            return -1;
        }
        Py_DECREF(number);
    }
    int failed = PyModule_AddObjectRef(module, "numbers", numbers);
    Py_DECREF(numbers);
    if (failed < 0)
        return failed;
    PyObject *code = PyMemoryView_FromMemory((char *)hot_code, hot_code_end - hot_code, PyBUF_READ);
    failed = PyModule_AddObjectRef(module, "code", code);
    Py_XDECREF(code);
    return failed < 0 ? failed : PyModule_AddStringConstant(module, "key", KEY);
}

static PyMethodDef methods[] = {
    {"create", (PyCFunction)(void (*)(void))create, METH_FASTCALL, "Make the module with that number for its spec."},
    {"alone", alone, METH_NOARGS, "Whether no other thread runs Python, or is about to."},
    {"changed", (PyCFunction)(void (*)(void))changed, METH_FASTCALL, "Lines of a manifest whose file is another now."},
    {"is_as", (PyCFunction)(void (*)(void))is_as, METH_FASTCALL, "Whether a file has this time and size."},
    {"quick_imports", quick_imports, METH_O, "Answer import statements for what is there, or end it."},
    {"gives_memory_back", gives_memory_back, METH_NOARGS, "Whether this machine's host takes memory that is free."},
    {"keep_heap", keep_heap, METH_NOARGS, "Have C's heap keep what is freed."},
    {"large_pages", large_pages, METH_NOARGS, "Have the process's memory come in large pages."},
    {NULL, NULL, 0, NULL},
};
static PyModuleDef_Slot slots[] = {{Py_mod_exec, fill}, {0, NULL}};
static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "stratavm._hot", .m_doc = "The hot modules.", .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__hot(void) { return PyModuleDef_Init(&definition); }
"""


@dataclass(frozen=True, slots=True)
class Contents:
    """What goes into the shared object."""

    key: str
    objects: dict[str, Path]
    """Object files by their modules."""
    code: bytes
    """The block of byte code."""


def initialiser(name: str) -> str:
    """The symbol of a module in the object: ``PyInit_store`` would be there twice."""
    return "PyInit_" + name.replace(".", "__")


def renaming(name: str) -> str:
    """What the compiler is told, so that a module's C file defines that symbol."""
    return f"-DPyInit_{name.rpartition('.')[2]}={initialiser(name)}"


def key_of(recipe: str, modules: Iterable[tuple[str, str]]) -> str:
    """The key of a link: of how it is done, and of the names and keys of what is in it."""
    hasher = blake2b(f"{recipe} {FORMAT} {HEAD} {INCLUDED} {TAIL}".encode(), digest_size=12)
    for name, key in sorted(modules):
        hasher.update(f"\0{name}\0{key}".encode())
    return hasher.hexdigest()


def table(key: str, names: Sequence[str], code: Path) -> str:
    """The C file that knows all modules, and includes a file of byte code."""
    externs = [f"extern PyObject *{initialiser(name)}(void);" for name in names]
    rows = [f'    {{"{name}", {initialiser(name)}}},' for name in names]
    head = [HEAD, f'#define KEY "{key}"', INCLUDED % code, *externs]
    head.append("static const struct { const char *name; Initialise initialise; } modules[] = {")
    return "\n".join([*head, *rows, "};", TAIL])


def link(command: Sequence[str], contents: Contents, target: Path, work: Path) -> None:
    """Link the contents into ``target``, atomically.

    Args:
        command: the C compiler with its flags for shared objects.
        contents: what goes into the object.
        target: the shared object, in the cache.
        work: a folder for the C file.

    Raises:
        subprocess.CalledProcessError: the compiler or the linker failed, and has said why.
    """
    work.mkdir(parents=True, exist_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    c_file = work / f"{STEM}.c"
    code = work / f"{STEM}.code"
    code.write_bytes(contents.code)
    objects = contents.objects
    c_file.write_text(table(contents.key, sorted(objects), code))
    scratch = target.with_suffix(f".{os.getpid()}.tmp")
    inputs = [str(c_file), *(str(objects[name]) for name in sorted(objects))]
    subprocess.run([*command, "-o", str(scratch), *inputs], check=True)
    scratch.replace(target)

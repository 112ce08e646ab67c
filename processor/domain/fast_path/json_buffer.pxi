"""Writing JSON: bytes that grow, and what goes into them."""

cdef class Buffer:
    """Bytes that grow."""

    cdef char *data
    cdef Py_ssize_t size
    cdef Py_ssize_t room

    def __dealloc__(self):
        PyMem_Free(self.data)

    cdef int add(self, const char *text, Py_ssize_t size) except -1:
        cdef char *grown
        if self.size + size > self.room:
            grown = <char *>PyMem_Realloc(self.data, (self.size + size) * 2 + 1024)
            if grown is NULL:
                raise MemoryError
            self.data = grown
            self.room = (self.size + size) * 2 + 1024
        memcpy(self.data + self.size, text, size)
        self.size += size
        return 0

    cdef int put(self, bytes text) except -1:
        return self.add(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))

    cdef int text(self, Text *text) except -1:
        return self.add(text.at, text.size)

    cdef int quoted(self, Text *text) except -1:
        self.add(b'"', 1)
        self.text(text)
        return self.add(b'"', 1)

    cdef int moment(self, Moment *moment) except -1:
        self.add(b'"', 1)
        self.add(moment.text, moment.size)
        return self.add(b'"', 1)

    cdef int integer(self, int64_t value) except -1:
        cdef char digits[24]
        cdef int place = 24
        cdef bint negative = value < 0
        if negative:
            value = -value
        while True:
            place -= 1
            digits[place] = <char>(48 + value % 10)
            value //= 10
            if value == 0:
                break
        if negative:
            place -= 1
            digits[place] = b"-"
        return self.add(&digits[place], 24 - place)

    cdef int amount(self, int64_t nanos) except -1:
        """The shortest plain number, as ``schemas.amounts.format_amount``."""
        cdef char digits[9]
        cdef int size = 9
        if nanos < 0:
            self.add(b"-", 1)
            nanos = -nanos
        self.integer(nanos // SCALE)
        nanos %= SCALE
        if nanos:
            put_digits(digits, nanos, 9)
            while digits[size - 1] == 48:
                size -= 1
            self.add(b".", 1)
            self.add(digits, size)
        return 0

    cdef bytes done(self):
        cdef bytes made = PyBytes_FromStringAndSize(self.data, self.size)
        self.size = 0
        return made



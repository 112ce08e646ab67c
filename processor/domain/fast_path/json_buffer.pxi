"""Writing JSON: bytes that grow, and what goes into them."""

cdef const char *DIGITS_OF_64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


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

    cdef int text_or_null(self, Text *text) except -1:
        return self.add(b"null", 4) if text is NULL else self.text(text)

    cdef int quoted(self, Text *text) except -1:
        self.add(b'"', 1)
        self.text(text)
        return self.add(b'"', 1)

    cdef int quoted_or_null(self, Text *text) except -1:
        return self.add(b"null", 4) if text.at is NULL else self.quoted(text)

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

    cdef int base64_of_8(self, const char *raw) except -1:
        """Eight bytes in URL-safe base64 without padding."""
        cdef char digits[11]
        cdef uint64_t bits = 0
        cdef int place
        for place in range(8):
            bits = (bits << 8) | <unsigned char>raw[place]
        for place in range(10):
            digits[place] = DIGITS_OF_64[(bits >> (58 - 6 * place)) & 63]
        digits[10] = DIGITS_OF_64[(bits << 2) & 63]
        return self.add(digits, 11)

    cdef bytes done(self):
        cdef bytes made = PyBytes_FromStringAndSize(self.data, self.size)
        self.size = 0
        return made



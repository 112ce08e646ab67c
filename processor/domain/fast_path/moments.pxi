"""Moments from 1980 to 9998 as text, and as microseconds since 1970; written as msgspec does."""

cdef struct Moment:
    int64_t micros
    char text[MOMENT]
    Py_ssize_t size


cdef inline int two(const char *at) noexcept nogil:
    if not (b"0" <= at[0] <= b"9" and b"0" <= at[1] <= b"9"):
        return -1
    return (at[0] - 48) * 10 + (at[1] - 48)


cdef inline int64_t days_of(int64_t year, int64_t month, int64_t day) noexcept nogil:
    """Return the days since 1970 of a date of the Gregorian calendar (H. Hinnant's algorithm)."""
    cdef int64_t era, of_era, of_year
    year -= month <= 2
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


cdef inline int month_days(int year, int month) noexcept nogil:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


cdef inline void put_digits(char *at, int64_t value, int digits) noexcept nogil:
    while digits > 0:
        digits -= 1
        at[digits] = <char>(48 + value % 10)
        value //= 10


cdef void finish_moment(Moment *out, int micro) noexcept nogil:
    """Write a fraction where there is one, as msgspec does, and the Z."""
    out.size = 19
    if micro:
        out.text[19] = b"."
        put_digits(&out.text[20], micro, 6)
        out.size = 26
    out.text[out.size] = b"Z"
    out.size += 1


cdef bint read_moment(Text *text, Moment *out) noexcept nogil:
    """Read ``YYYY-MM-DDTHH:MM:SS[.ffffff]Z`` of the years 1980 to 9998."""
    cdef const char *t = text.at
    cdef int year, month, day, hour, minute, second, micro = 0, unit = 100_000
    cdef Py_ssize_t place
    if text.size < 20 or text.size > 27 or t[text.size - 1] != b"Z":
        return False
    if t[4] != b"-" or t[7] != b"-" or t[10] != b"T" or t[13] != b":" or t[16] != b":":
        return False
    year, month, day = two(t) * 100 + two(t + 2), two(t + 5), two(t + 8)
    hour, minute, second = two(t + 11), two(t + 14), two(t + 17)
    if two(t) < 0 or two(t + 2) < 0 or year < 1980 or year > 9998 or not 1 <= month <= 12:
        return False
    if not 1 <= day <= month_days(year, month):
        return False
    if not (0 <= hour <= 23 and 0 <= minute <= 59 and 0 <= second <= 59):
        return False
    if text.size > 20:
        if t[19] != b"." or text.size == 21:
            return False
        for place in range(20, text.size - 1):
            if not b"0" <= t[place] <= b"9":
                return False
            micro += (t[place] - 48) * unit
            unit //= 10
    memcpy(out.text, t, 19)
    finish_moment(out, micro)
    out.micros = (
        ((days_of(year, month, day) * 24 + hour) * 60 + minute) * 60 + second
    ) * 1_000_000 + micro
    return True


cdef bint moment_of(at, Moment *out):
    """Write the moment of a datetime in UTC; False before 1980 and after 9998."""
    cdef int year = datetime_year(at), month = datetime_month(at), day = datetime_day(at)
    cdef int64_t seconds
    if not 1980 <= year <= 9998:
        return False
    seconds = (days_of(year, month, day) * 24 + datetime_hour(at)) * 3600
    seconds += datetime_minute(at) * 60 + datetime_second(at)
    moment_of_millis(seconds * 1000, out)
    finish_moment(out, datetime_microsecond(at))
    out.micros += datetime_microsecond(at)
    return True


cdef void moment_of_millis(int64_t millis, Moment *out) noexcept nogil:
    """Write the moment of a Kafka timestamp from 1980 on."""
    cdef int64_t seconds = millis // 1000, days = seconds // 86400
    cdef int64_t rest = seconds - days * 86400, z = days + 719468
    cdef int64_t era = z // 146097, of_era = z - era * 146097
    cdef int64_t year_of_era = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    cdef int64_t of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    cdef int64_t mp = (5 * of_year + 2) // 153
    cdef int64_t month = mp + 3 if mp < 10 else mp - 9
    put_digits(out.text, year_of_era + era * 400 + (month <= 2), 4)
    out.text[4] = b"-"
    put_digits(&out.text[5], month, 2)
    out.text[7] = b"-"
    put_digits(&out.text[8], of_year - (153 * mp + 2) // 5 + 1, 2)
    out.text[10] = b"T"
    put_digits(&out.text[11], rest // 3600, 2)
    out.text[13] = b":"
    put_digits(&out.text[14], rest // 60 % 60, 2)
    out.text[16] = b":"
    put_digits(&out.text[17], rest % 60, 2)
    finish_moment(out, <int>(millis % 1000) * 1000)
    out.micros = millis * 1000


cdef bint moment_of_micros(int64_t micros, Moment *out) noexcept nogil:
    """Write a moment of the years 1980 to 9998."""
    if not FIRST_MILLIS * 1000 <= micros < LAST_MILLIS * 1000:
        return False
    moment_of_millis(micros // 1000, out)
    finish_moment(out, <int>(micros % 1_000_000))
    out.micros = micros
    return True


cdef bytes quoted_moment(Moment *at):
    """Return a moment's text with its quotes."""
    cdef char text[MOMENT + 2]
    text[0] = b'"'
    memcpy(&text[1], at.text, at.size)
    text[at.size + 1] = b'"'
    return PyBytes_FromStringAndSize(text, at.size + 2)

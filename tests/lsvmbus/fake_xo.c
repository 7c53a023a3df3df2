/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * As much of libxo(3) as lsvmbus(8) uses: text, and JSON without blanks.  It
 * stops the test at whatever the program does that the real one would reject:
 * elements that do not nest, a field twice in one object.
 */

#include <sys/types.h>

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libxo/xo.h>

#include "fake.h"

#define	XO_ROOM		(256 * 1024)
#define	XO_DEPTH	16
#define	XO_FIELD	1024

enum xo_kind { XO_CONTAINER, XO_LIST, XO_INSTANCE };

static struct {
	enum xo_kind	 kind;
	const char	*name;
	char		 seen[XO_FIELD];	/* |name| of each in it */
	bool		 comma;
} stack[XO_DEPTH];
static int depth;
static bool json;
static char output[XO_ROOM], messages[XO_ROOM];
static size_t output_len, messages_len;

static void __attribute__((noreturn))
xo_die(const char *why, const char *what)
{

	fake_die(why, what);
}

static void
xo_put(const char *text)
{
	size_t len;

	len = strlen(text);
	if (output_len + len >= sizeof(output))
		xo_die("too much output", "");
	memcpy(output + output_len, text, len + 1);
	output_len += len;
}

void
fake_output_reset(void)
{

	output[output_len = 0] = '\0';
	messages[messages_len = 0] = '\0';
	json = false;
	depth = 0;
	memset(stack, 0, sizeof(stack));
}

const char *
fake_output(void)
{

	return (output);
}

const char *
fake_messages(void)
{

	return (messages);
}

int
xo_parse_args(int argc, char **argv)
{
	int i, n;

	fake_output_reset();
	for (i = n = 1; i < argc; i++)
		if (strcmp(argv[i], "--libxo=json") == 0)
			json = true;
		else if (strcmp(argv[i], "--libxo") == 0 && i + 1 < argc &&
		    strcmp(argv[i + 1], "json") == 0) {
			json = true;
			i++;
		} else if (strncmp(argv[i], "--libxo", 7) == 0)
			return (-1);
		else
			argv[n++] = argv[i];
	argv[n] = NULL;
	return (n);
}

xo_style_t
xo_get_style(void *handle)
{

	(void)handle;
	return (json ? XO_STYLE_JSON : XO_STYLE_TEXT);
}

/* --- JSON --- */

static void
xo_string(const char *s)
{
	char c[8];

	xo_put("\"");
	for (; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			snprintf(c, sizeof(c), "\\%c", *s);
		else if ((unsigned char)*s < ' ')
			snprintf(c, sizeof(c), "\\u%04x", *s);
		else
			snprintf(c, sizeof(c), "%c", *s);
		xo_put(c);
	}
	xo_put("\"");
}

static void
xo_name(const char *name)
{
	char key[128];

	snprintf(key, sizeof(key), "|%s|", name);
	if (strstr(stack[depth].seen, key) != NULL)
		xo_die("twice in one object", name);
	strncat(stack[depth].seen, key, sizeof(stack[depth].seen) -
	    strlen(stack[depth].seen) - 1);
	if (stack[depth].comma)
		xo_put(",");
	stack[depth].comma = true;
	xo_string(name);
	xo_put(":");
}

static ssize_t
xo_open(enum xo_kind kind, const char *name)
{

	if (kind == XO_INSTANCE && (depth == 0 ||
	    stack[depth].kind != XO_LIST ||
	    strcmp(stack[depth].name, name) != 0))
		xo_die("instance outside its list", name);
	if (kind != XO_INSTANCE && depth > 0 && stack[depth].kind == XO_LIST)
		xo_die("not an instance in a list", name);
	if (json) {
		if (depth == 0)
			xo_put("{");
		if (kind != XO_INSTANCE)
			xo_name(name);
		else if (stack[depth].comma)
			xo_put(",");
		stack[depth].comma = true;
		xo_put(kind == XO_LIST ? "[" : "{");
	}
	if (++depth == XO_DEPTH)
		xo_die("too deep", name);
	memset(&stack[depth], 0, sizeof(stack[depth]));
	stack[depth].kind = kind;
	stack[depth].name = name;
	return (0);
}

static ssize_t
xo_close(enum xo_kind kind, const char *name)
{

	if (depth == 0 || stack[depth].kind != kind ||
	    strcmp(stack[depth].name, name) != 0)
		xo_die("closed but not open", name);
	if (json) {
		xo_put(kind == XO_LIST ? "]" : "}");
	}
	depth--;
	return (0);
}

ssize_t
xo_open_container(const char *name)
{

	return (xo_open(XO_CONTAINER, name));
}

ssize_t
xo_close_container(const char *name)
{

	return (xo_close(XO_CONTAINER, name));
}

ssize_t
xo_open_list(const char *name)
{

	return (xo_open(XO_LIST, name));
}

ssize_t
xo_close_list(const char *name)
{

	return (xo_close(XO_LIST, name));
}

ssize_t
xo_open_instance(const char *name)
{

	return (xo_open(XO_INSTANCE, name));
}

ssize_t
xo_close_instance(const char *name)
{

	return (xo_close(XO_INSTANCE, name));
}

void
xo_set_version(const char *version)
{

	(void)version;
}

/* --- Formats --- */

/* printf(3) with %s, %*s, %zu and %jd; tells whether numbers were all. */
static bool
xo_format(char *out, size_t size, const char *format, va_list *ap)
{
	bool numeric = true;
	size_t len = 0;
	int width;

	out[0] = '\0';
	for (; *format != '\0' && len < size; format++) {
		if (*format != '%') {
			len += (size_t)snprintf(out + len, size - len, "%c",
			    *format);
			continue;
		}
		if (strncmp(++format, "*s", 2) == 0) {
			/* As the program uses it: blanks. */
			numeric = false;
			for (width = va_arg(*ap, int); width > 0 &&
			    len + 1 < size; width--)
				out[len++] = ' ';
			out[len] = '\0';
			if (*va_arg(*ap, const char *) != '\0')
				xo_die("more than padding", format);
			format++;
		} else if (*format == 's') {
			numeric = false;
			len += (size_t)snprintf(out + len, size - len, "%s",
			    va_arg(*ap, const char *));
		} else if (strncmp(format, "jd", 2) == 0) {
			len += (size_t)snprintf(out + len, size - len, "%jd",
			    va_arg(*ap, intmax_t));
			format++;
		} else if (strncmp(format, "zu", 2) == 0) {
			len += (size_t)snprintf(out + len, size - len, "%zu",
			    va_arg(*ap, size_t));
			format++;
		} else
			xo_die("unknown conversion", format);
	}
	if (len >= size)
		xo_die("field too long", out);
	return (numeric);
}

/* One of a list of values is in its list already. */
static void
xo_leaf(const char *name, const char *value, bool list, bool raw)
{

	if (list && (stack[depth].kind != XO_LIST ||
	    strcmp(stack[depth].name, name) != 0))
		xo_die("value outside its list", name);
	if (!list)
		xo_name(name);
	else if (stack[depth].comma)
		xo_put(",");
	stack[depth].comma = true;
	if (raw)
		xo_put(value);
	else
		xo_string(value);
}

/* {ROLE MODIFIERS:CONTENT/FORMAT}, without its braces. */
static void
xo_field(char *field, va_list *ap)
{
	char value[XO_FIELD], *content, *format;
	bool display, numeric;

	content = strchr(field, ':');
	if (content == NULL)
		xo_die("no colon", field);
	*content++ = '\0';
	format = strchr(content, '/');
	if (format != NULL)
		*format++ = '\0';
	display = strpbrk(field, "DLPTN") != NULL;
	if (display && format == NULL) {
		snprintf(value, sizeof(value), "%s%s", content,
		    strchr(field, 'c') != NULL ? ":" : "");
		numeric = false;
	} else {
		numeric = xo_format(value, sizeof(value),
		    format != NULL ? format : "%s", ap);
	}
	if (json && !display)
		xo_leaf(content, value, strchr(field, 'l') != NULL,
		    numeric || strchr(field, 'n') != NULL);
	if (!json && strchr(field, 'e') == NULL)
		xo_put(value);
}

ssize_t
xo_emit(const char *format, ...)
{
	char field[XO_FIELD], c[2] = "";
	const char *end;
	size_t len;
	va_list ap;

	va_start(ap, format);
	for (; *format != '\0'; format++) {
		if (*format != '{') {
			c[0] = *format;
			if (!json)
				xo_put(c);
			continue;
		}
		end = strchr(format, '}');
		len = end != NULL ? (size_t)(end - format) - 1 : XO_FIELD;
		if (len >= sizeof(field))
			xo_die("no end", format);
		memcpy(field, format + 1, len);
		field[len] = '\0';
		xo_field(field, &ap);
		format = end;
	}
	va_end(ap);
	return (0);
}

static void
xo_message(const char *format, va_list ap)
{

	messages_len += (size_t)vsnprintf(messages + messages_len,
	    sizeof(messages) - messages_len, format, ap);
}

void
xo_error(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	xo_message(format, ap);
	va_end(ap);
}

void
xo_warnx(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	xo_message("lsvmbus: ", ap);
	va_end(ap);
	va_start(ap, format);
	xo_message(format, ap);
	va_end(ap);
	xo_error("\n");
}

void
xo_warn(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	xo_message(format, ap);
	va_end(ap);
	xo_error(": error\n");
}

ssize_t
xo_finish(void)
{

	if (depth != 0)
		xo_die("left open", stack[depth].name);
	if (json)
		xo_put(output_len == 0 ? "{}\n" : "}\n");
	return (0);
}

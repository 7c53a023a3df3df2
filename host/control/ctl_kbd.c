/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The control socket's commands for the keyboard.  The callback comes from the
 * thread that runs the pump; it only puts an answer together.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/ctl_var.h"
#include "control/keys.h"

/* After a key, ms: no guest's queue is filled by so few. */
#define	PAUSE_MS	5u
#define	PAUSE_MAX	1000u

static struct hvh_kbd *
keyboard(struct ctl_server *s)
{

	return (s->ops->keyboard != NULL ? s->ops->keyboard(s->arg) : NULL);
}

json_t *
ctl_kbd_info(struct ctl_server *s)
{
	static const char *const states[] = {
		[HVH_KBD_CLOSED] = "closed",
		[HVH_KBD_NEGOTIATING] = "negotiating",
		[HVH_KBD_READY] = "ready",
		[HVH_KBD_GONE] = "gone",
	};
	struct hvh_kbd *kbd = keyboard(s);
	struct hvh_kbd_info ki;
	json_t *o;

	if (kbd == NULL)
		return (NULL);
	hvh_kbd_get_info(kbd, &ki);
	o = json_pack("{s:s, s:s, s:n, s:I, s:I, s:I, s:i}",
	    "name", "keyboard", "state", states[ki.state], "framework",
	    "requests", (json_int_t)ki.keys, "timeouts",
	    (json_int_t)ki.timeouts, "bad", (json_int_t)ki.bad,
	    "lights", (int)ki.lights);
	json_object_set_new(o, "version", ki.state == HVH_KBD_READY ?
	    json_string("1.0") : json_null());
	return (o);
}

static void
typed(void *arg, int error)
{
	const char *why = NULL;

	if (error == ETIMEDOUT)
		why = "keyboard: the guest reads no keys";
	else if (error == ECONNRESET)
		why = "keyboard: the guest went away before all was typed";
	else if (error != 0)
		why = "keyboard: it was taken back";
	ctl_later_done(arg, json_object(), why);
}

static int
refused(struct ctl_call *c, int error)
{

	if (error == ENOTCONN)
		ctl_bad(c, "keyboard: the guest has no driver for it, or has "
		    "not loaded it");
	else if (error == ENODEV)
		ctl_bad(c, "keyboard: it was taken away from the guest");
	else if (error == EAGAIN)
		ctl_bad(c, "keyboard: too many keys wait for the guest");
	else if (error == EINVAL)
		ctl_bad(c, "keyboard: nothing to type");
	else
		ctl_bad(c, "keyboard: %s", strerror(error));
	return (error);
}

/* Takes over what ks points to. */
static int
type(struct ctl_call *c, struct keys *ks)
{
	struct hvh_kbd *kbd = keyboard(c->s);
	uint64_t pause = PAUSE_MS;
	struct ctl_later *l;
	int error;

	if (ks->failed)
		error = ctl_bad(c, "no memory");
	else if (kbd == NULL)
		error = ctl_bad(c, "keyboard: this machine does not offer it "
		    "to its guest");
	else
		error = ctl_get_number(c, "pause", PAUSE_MAX, &pause);
	if (error == 0) {
		l = ctl_later_new(c);
		error = l == NULL ? EAGAIN : hvh_kbd_type(kbd, ks->k, ks->n,
		    pause * 1000000, typed, l);
		if (error != 0 && l != NULL) {
			ctl_later_drop(c);
			refused(c, error);
		}
	}
	free(ks->k);
	return (error);
}

/* text: UTF-8; enter: and the key behind it; pause: ms after each key. */
int
ctl_cmd_type(struct ctl_call *c)
{
	const char *text = "";
	struct keys ks = { 0 };
	bool enter = false;
	size_t where;
	int error;

	error = ctl_get_string(c, "text", &text);
	if (error == 0)
		error = ctl_get_bool(c, "enter", &enter);
	if (error != 0)
		return (error);
	if (!keys_text(&ks, text, &where)) {
		free(ks.k);
		return (ctl_bad(c, "type: a US keyboard has no key for the "
		    "character at byte %zu", where));
	}
	if (enter)
		(void)keys_text(&ks, "\n", &where);
	return (type(c, &ks));
}

/* keys: names such as "ctrl-alt-del", one after the other. */
int
ctl_cmd_key(struct ctl_call *c)
{
	json_t *list = json_object_get(c->req, "keys"), *name;
	struct keys ks = { 0 };
	size_t i;

	if (!json_is_array(list))
		return (ctl_bad(c, "\"keys\" is not a list of names"));
	json_array_foreach(list, i, name) {
		if (json_is_string(name) &&
		    keys_chord(&ks, json_string_value(name)))
			continue;
		free(ks.k);
		return (ctl_bad(c, "key: there is no key \"%s\"",
		    json_is_string(name) ? json_string_value(name) : ""));
	}
	return (type(c, &ks));
}

/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * Keyboards and who reads them: kbd(4)'s registry.  One driver, one reader a
 * keyboard; all of it with Giant.
 */

#include "kpi_bus.h"

#include <sys/kernel.h>
#include <sys/malloc.h>

#include <dev/kbd/kbdreg.h>

#define	KEYBOARDS	4

static SLIST_HEAD(, keyboard_driver) drivers =
    SLIST_HEAD_INITIALIZER(drivers);
static keyboard_t *keyboards[KEYBOARDS];

int
kbd_add_driver(keyboard_driver_t *driver)
{

	mtx_assert(&Giant, MA_OWNED);
	if ((driver->flags & KBDF_REGISTERED) != 0)
		return (0);
	driver->flags |= KBDF_REGISTERED;
	SLIST_INSERT_HEAD(&drivers, driver, link);
	return (0);
}

int
kbd_delete_driver(keyboard_driver_t *driver)
{

	if ((driver->flags & KBDF_REGISTERED) == 0)
		return (EINVAL);
	driver->flags &= ~KBDF_REGISTERED;
	SLIST_REMOVE(&drivers, driver, keyboard_driver, link);
	return (0);
}

void
kbd_init_struct(keyboard_t *kbd, char *name, int type, int unit, int config,
    int port, int port_size)
{

	kbd->kb_flags = KB_NO_DEVICE;
	kbd->kb_name = name;
	kbd->kb_type = type;
	kbd->kb_unit = unit;
	kbd->kb_config = config;
	kbd->kb_led = 0;
	kbd->kb_io_base = port;
	kbd->kb_io_size = port_size;
	kbd->kb_data = NULL;
	kbd->kb_count = 0;
	memset(kbd->kb_lastact, 0, sizeof(kbd->kb_lastact));
}

void
kbd_set_maps(keyboard_t *kbd, struct keymap *keymap, struct accentmap *accmap,
    struct fkeytab *fkeymap, int fkeymap_size)
{

	kbd->kb_keymap = keymap;
	kbd->kb_accentmap = accmap;
	kbd->kb_fkeytab = fkeymap;
	kbd->kb_fkeytab_size = fkeymap_size;
}

int
kbd_register(keyboard_t *kbd)
{
	const keyboard_driver_t *d;
	int i;

	mtx_assert(&Giant, MA_OWNED);
	for (i = 0; i < KEYBOARDS && keyboards[i] != NULL; i++)
		;
	SLIST_FOREACH(d, &drivers, link)
		if (strcmp(d->name, kbd->kb_name) == 0)
			break;
	if (i == KEYBOARDS || d == NULL)
		return (-1);
	kbd->kb_index = i;
	kbd->kb_flags = (kbd->kb_flags & ~KB_BUSY) | KB_VALID;
	kbd->kb_active = 0;
	kbd->kb_token = NULL;
	kbd->kb_callback.kc_func = NULL;
	kbd->kb_drv = d;
	keyboards[i] = kbd;
	return (i);
}

/* The reader may refuse, but not stay. */
int
kbd_unregister(keyboard_t *kbd)
{
	int error;

	mtx_assert(&Giant, MA_OWNED);
	if (keyboards[kbd->kb_index] != kbd)
		return (ENOENT);
	if (KBD_IS_BUSY(kbd)) {
		error = kbd->kb_callback.kc_func(kbd, KBDIO_UNLOADING,
		    kbd->kb_callback.kc_arg);
		if (error != 0)
			return (error);
		if (KBD_IS_BUSY(kbd))
			return (EBUSY);
	}
	kbd->kb_flags &= ~KB_VALID;
	keyboards[kbd->kb_index] = NULL;
	return (0);
}

keyboard_t *
kbd_get_keyboard(int index)
{

	if (index < 0 || index >= KEYBOARDS || keyboards[index] == NULL ||
	    !KBD_IS_VALID(keyboards[index]))
		return (NULL);
	return (keyboards[index]);
}

int
kbd_find_keyboard(char *driver, int unit)
{
	keyboard_t *kbd;
	int i;

	for (i = 0; i < KEYBOARDS; i++) {
		kbd = kbd_get_keyboard(i);
		if (kbd != NULL && (strcmp(driver, "*") == 0 ||
		    strcmp(driver, kbd->kb_name) == 0) &&
		    (unit == -1 || unit == kbd->kb_unit))
			return (i);
	}
	return (-1);
}

int
kbd_allocate(char *driver, int unit, void *id, kbd_callback_func_t *func,
    void *arg)
{
	keyboard_t *kbd;

	mtx_assert(&Giant, MA_OWNED);
	kbd = kbd_get_keyboard(kbd_find_keyboard(driver, unit));
	if (kbd == NULL || KBD_IS_BUSY(kbd))
		return (-1);
	kbd->kb_token = id;
	kbd->kb_flags |= KB_BUSY;
	kbd->kb_callback.kc_func = func;
	kbd->kb_callback.kc_arg = arg;
	kbd->kb_drv->kbdsw->clear_state(kbd);
	return (kbd->kb_index);
}

int
kbd_release(keyboard_t *kbd, void *id)
{

	mtx_assert(&Giant, MA_OWNED);
	if (!KBD_IS_VALID(kbd) || !KBD_IS_BUSY(kbd))
		return (EINVAL);
	if (kbd->kb_token != id)
		return (EPERM);
	kbd->kb_token = NULL;
	kbd->kb_flags &= ~KB_BUSY;
	kbd->kb_callback.kc_func = NULL;
	kbd->kb_drv->kbdsw->clear_state(kbd);
	return (0);
}

static u_int
kbd_leaks(void)
{
	keyboard_driver_t *d;
	u_int i, n;

	n = 0;
	for (i = 0; i < KEYBOARDS; i++)
		if (keyboards[i] != NULL) {
			printf("leak: keyboard %s%d\n", keyboards[i]->kb_name,
			    keyboards[i]->kb_unit);
			n++;
		}
	SLIST_FOREACH(d, &drivers, link) {
		printf("leak: keyboard driver %s\n", d->name);
		n++;
	}
	return (n);
}
KPI_LEAKS(kbd_leaks);

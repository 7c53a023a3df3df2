/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * A US keyboard: what is on its keys.  It counts where nobody has loaded a
 * keyboard map, and for characters that the host sends as such.  With
 * kbdmux(4), whose map is what users change, it does not.
 */

#include <sys/param.h>
#include <sys/systm.h>
#include <sys/kbio.h>

#include <dev/hyperv/input/hv_kbd_keys.h>

/* From a key code on, what its keys are, alone and with shift. */
static const struct {
	uint8_t		 from;
	const char	*plain;
	const char	*shift;
} hv_kbd_rows[] = {
	{ 0x01, "\033" "1234567890-=\b\t", "\033" "!@#$%^&*()_+\b\t" },
	{ 0x10, "qwertyuiop[]\r", "QWERTYUIOP{}\r" },
	{ 0x1e, "asdfghjkl;'`", "ASDFGHJKL:\"~" },
	{ 0x2b, "\\zxcvbnm,./", "|ZXCVBNM<>?" },
	{ 0x37, "*", "*" },
	{ 0x39, " ", " " },
	{ 0x4a, "-", "-" },
	{ 0x4e, "+", "+" },
	{ 0x56, "\\", "|" },
	{ 0x59, "\r", "\r" },
	{ 0x5b, "/", "/" },
};

/* The same for keys that are no characters, whatever is held with them. */
static const struct {
	uint8_t		 code;
	uint8_t		 action;
} hv_kbd_specials[] = {
	{ 0x1d, LCTR }, { 0x2a, LSH }, { 0x36, RSH }, { 0x38, LALT },
	{ 0x3a, CLK }, { 0x45, NLK }, { 0x46, SLK }, { 0x5a, RCTR },
	{ 0x5d, RALT }, { 0x68, SLK },
	{ 0x3b, F(1) }, { 0x3c, F(2) }, { 0x3d, F(3) }, { 0x3e, F(4) },
	{ 0x3f, F(5) }, { 0x40, F(6) }, { 0x41, F(7) }, { 0x42, F(8) },
	{ 0x43, F(9) }, { 0x44, F(10) }, { 0x57, F(11) }, { 0x58, F(12) },
	{ 0x5e, F(13) }, { 0x5f, F(14) }, { 0x60, F(15) }, { 0x61, F(16) },
	{ 0x62, F(17) }, { 0x63, F(18) }, { 0x64, F(19) }, { 0x65, F(20) },
	{ 0x66, F(21) }, { 0x67, F(22) }, { 0x69, F(23) }, { 0x6a, F(24) },
};

/* Keys of the pad: a digit with the number lock, else as the grey ones. */
static const struct {
	uint8_t		 code;
	uint8_t		 action;
	u_char		 digit;
} hv_kbd_pad[] = {
	{ 0x47, F(13), '7' }, { 0x48, F(14), '8' }, { 0x49, F(15), '9' },
	{ 0x4b, F(16), '4' }, { 0x4c, F(16), '5' }, { 0x4d, F(17), '6' },
	{ 0x4f, F(18), '1' }, { 0x50, F(19), '2' }, { 0x51, F(20), '3' },
	{ 0x52, F(21), '0' }, { 0x53, F(22), '.' },
};

/* What function keys send: those of a VT220 as xterm has them. */
static const char *const hv_kbd_strings[] = {
	"\033OP", "\033OQ", "\033OR", "\033OS", "\033[15~", "\033[17~",
	"\033[18~", "\033[19~", "\033[20~", "\033[21~", "\033[23~",
	"\033[24~", "\033[H", "\033[A", "\033[5~", "\033[D", "\033[C",
	"\033[F", "\033[B", "\033[6~", "\033[2~", "\033[3~",
};

/* States of a key: bit 0 shift, bit 1 control, bit 2 alt. */
#define	STATE_SHIFT	0x1
#define	STATE_CTRL	0x2

static bool
hv_kbd_is_letter(u_char c)
{

	return ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'));
}

static void
hv_kbd_map_char(struct keyent_t *ke, u_char plain, u_char shift)
{
	u_int state;
	u_char c;

	for (state = 0; state < NUM_STATES; state++) {
		c = (state & STATE_SHIFT) != 0 ? shift : plain;
		if ((state & STATE_CTRL) == 0)
			ke->map[state] = c;
		else if (hv_kbd_is_letter(c) || (c >= '[' && c <= '_'))
			ke->map[state] = c & 0x1f;
		else if (c == ' ' || c == '@')
			ke->map[state] = 0;
		else if (c < ' ')
			ke->map[state] = c;
		else {
			ke->map[state] = NOP;
			ke->spcl |= 0x80 >> state;
		}
	}
	ke->flgs = hv_kbd_is_letter(plain) ? FLAG_LOCK_C : FLAG_LOCK_O;
}

static void
hv_kbd_map_action(struct keyent_t *ke, uint8_t action)
{
	u_int state;

	for (state = 0; state < NUM_STATES; state++)
		ke->map[state] = action;
	ke->spcl = 0xff;
	ke->flgs = FLAG_LOCK_O;
}

/* The number lock turns the meaning of shift round. */
static void
hv_kbd_map_pad(struct keyent_t *ke, uint8_t action, u_char digit)
{
	u_int state;

	hv_kbd_map_action(ke, action);
	for (state = STATE_SHIFT; state < NUM_STATES; state += 2) {
		ke->map[state] = digit;
		ke->spcl &= ~(0x80 >> state);
	}
	ke->flgs = FLAG_LOCK_N;
}

void
hv_kbd_map_init(struct keymap *km, struct accentmap *am, struct fkeytab *fk)
{
	u_int i, j;

	memset(km, 0, sizeof(*km));
	memset(am, 0, sizeof(*am));
	km->n_keys = HV_KBD_CODES;
	for (i = 0; i < NUM_KEYS; i++)
		hv_kbd_map_action(&km->key[i], NOP);
	for (i = 0; i < nitems(hv_kbd_rows); i++)
		for (j = 0; hv_kbd_rows[i].plain[j] != '\0'; j++) {
			km->key[hv_kbd_rows[i].from + j].spcl = 0;
			hv_kbd_map_char(&km->key[hv_kbd_rows[i].from + j],
			    hv_kbd_rows[i].plain[j], hv_kbd_rows[i].shift[j]);
		}
	for (i = 0; i < nitems(hv_kbd_specials); i++)
		hv_kbd_map_action(&km->key[hv_kbd_specials[i].code],
		    hv_kbd_specials[i].action);
	for (i = 0; i < nitems(hv_kbd_pad); i++)
		hv_kbd_map_pad(&km->key[hv_kbd_pad[i].code],
		    hv_kbd_pad[i].action, hv_kbd_pad[i].digit);
	memset(fk, 0, NUM_FKEYS * sizeof(*fk));
	for (i = 0; i < nitems(hv_kbd_strings); i++) {
		fk[i].len = strlen(hv_kbd_strings[i]);
		memcpy(fk[i].str, hv_kbd_strings[i], fk[i].len);
	}
}

uint8_t
hv_kbd_map_find(uint16_t c, bool *shift)
{
	u_int i, j;

	if (c == '\n')
		c = '\r';
	for (i = 0; i < nitems(hv_kbd_rows); i++)
		for (j = 0; hv_kbd_rows[i].plain[j] != '\0'; j++) {
			*shift = hv_kbd_rows[i].plain[j] != c;
			if (!*shift || hv_kbd_rows[i].shift[j] == c)
				return (hv_kbd_rows[i].from + j);
		}
	return (0);
}

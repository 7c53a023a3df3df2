/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * ACPI tables: those of acpi/ are put one after the other into the BIOS area,
 * with what only the machine knows filled in: addresses, CPUs, checksums.
 * The guest may write over them; each start puts them there anew.
 */

#include <errno.h>
#include <string.h>

#include "vmm/acpi_reg.h"
#include "vmm/acpi_tables.h"
#include "vmm/pm_reg.h"
#include "vmm/vmm.h"

#define	ACPI_TABLES	(VMM_ACPI_BASE + 0x100)
#define	ACPI_ALIGN	64u		/* FACS wants it */

/*
 * MMIO above 4 GiB: half a GiB, where Hyper-V has it, and what ends below
 * 64 GiB any CPU can address; above RAM if that reaches as far.
 */
#define	ACPI_HIGH_MMIO	0xFE0000000ull
#define	ACPI_HIGH_SIZE	0x20000000ull
#define	ACPI_HIGH_ALIGN	0x40000000ull

_Static_assert(VMM_ACPI_BASE + sizeof(struct acpi_rsdp) <= ACPI_MACHINE &&
    ACPI_MACHINE + sizeof(struct acpi_machine) <= ACPI_TABLES, "overlap");

/* The area, seen from here, and where the next table goes. */
struct acpi_area {
	uint8_t		*p;
	uint32_t	 next;		/* from VMM_ACPI_BASE */
};

/* An address in the area. */
static uint32_t
acpi_gpa(const struct acpi_area *a, const void *p)
{

	return (VMM_ACPI_BASE + (uint32_t)((const uint8_t *)p - a->p));
}

/* Room for a table that begins with t's bytes; NULL: there is none. */
static void *
acpi_put(struct acpi_area *a, const struct acpi_table *t, size_t len)
{
	uint8_t *p = a->p + a->next;

	if (len > VMM_ACPI_TOP - VMM_ACPI_BASE - a->next)
		return (NULL);
	if (t != NULL)
		memcpy(p, t->data, t->len);
	a->next += (len + ACPI_ALIGN - 1) & ~(ACPI_ALIGN - 1);
	return (p);
}

/* What has to be added so that len bytes add up to 0. */
static uint8_t
acpi_sum(const void *buf, size_t len)
{
	const uint8_t *p = buf;
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += p[i];
	return ((uint8_t)-sum);
}

static void
acpi_seal(struct acpi_header *h, size_t len)
{

	h->ah_length = (uint32_t)len;
	h->ah_checksum = 0;
	h->ah_checksum = acpi_sum(h, len);
}

static void *
acpi_madt(struct acpi_area *a, unsigned cpus)
{
	size_t len = acpi_apic.len + cpus * sizeof(struct acpi_lapic);
	struct acpi_lapic *l;
	struct acpi_header *h;

	h = acpi_put(a, &acpi_apic, len);
	if (h == NULL)
		return (NULL);
	l = (struct acpi_lapic *)((uint8_t *)h + acpi_apic.len);
	for (unsigned i = 0; i < cpus; i++) {
		l[i] = (struct acpi_lapic){
			.al_type = ACPI_LAPIC,
			.al_length = sizeof(*l),
			.al_uid = (uint8_t)i,
			.al_apic_id = (uint8_t)i,
			.al_flags = ACPI_LAPIC_ENABLED,
		};
	}
	acpi_seal(h, len);
	return (h);
}

static void *
acpi_fadt(struct acpi_area *a, bool pci)
{
	const struct acpi_table *t = pci ? &acpi_dsdt_pci : &acpi_dsdt;
	struct acpi_fadt *f;
	void *facs, *dsdt;

	facs = acpi_put(a, &acpi_facs, acpi_facs.len);
	dsdt = acpi_put(a, t, t->len);
	f = acpi_put(a, &acpi_facp, acpi_facp.len);
	if (facs == NULL || dsdt == NULL || f == NULL)
		return (NULL);
	f->af_facs = acpi_gpa(a, facs);
	f->af_dsdt = acpi_gpa(a, dsdt);
	/* One FACS: guests warn of two addresses even if they are the same. */
	f->af_xfacs = 0;
	f->af_xdsdt = f->af_dsdt;
	acpi_seal(&f->af_header, acpi_facp.len);
	return (f);
}

static void *
acpi_xsdt(struct acpi_area *a, const void *fadt, const void *madt)
{
	struct acpi_xsdt *x;

	x = acpi_put(a, NULL, sizeof(*x));
	if (x == NULL)
		return (NULL);
	/* Who made it is said as in the others. */
	memcpy(&x->ax_header, fadt, sizeof(x->ax_header));
	memcpy(x->ax_header.ah_signature, "XSDT", 4);
	x->ax_header.ah_revision = 1;
	x->ax_entry[0] = acpi_gpa(a, fadt);
	x->ax_entry[1] = acpi_gpa(a, madt);
	acpi_seal(&x->ax_header, sizeof(*x));
	return (x);
}

static void
acpi_rsdp(struct acpi_area *a, const struct acpi_xsdt *x)
{
	struct acpi_rsdp *r = (struct acpi_rsdp *)a->p;

	*r = (struct acpi_rsdp){
		.ar_revision = 2,
		.ar_length = sizeof(*r),
		.ar_xsdt = acpi_gpa(a, x),
	};
	memcpy(r->ar_signature, "RSD PTR ", sizeof(r->ar_signature));
	memcpy(r->ar_oem, x->ax_header.ah_oem, sizeof(r->ar_oem));
	r->ar_checksum = acpi_sum(r, offsetof(struct acpi_rsdp, ar_length));
	r->ar_checksum_all = acpi_sum(r, sizeof(*r));
}

static void
acpi_machine(struct acpi_area *a, const struct vmm *m)
{
	uint64_t base = ACPI_HIGH_MMIO, top;

	top = VMM_HIGH_BASE + vmm_high_mem(m);
	if (top > base)
		base = (top + ACPI_HIGH_ALIGN - 1) & ~(ACPI_HIGH_ALIGN - 1);
	*(struct acpi_machine *)(a->p + ACPI_MACHINE - VMM_ACPI_BASE) =
	    (struct acpi_machine){
		.am_magic = ACPI_MACHINE_MAGIC,
		.am_cpus = vmm_cpus(m),
		.am_high_first = base,
		.am_high_last = base + ACPI_HIGH_SIZE - 1,
		.am_high_size = ACPI_HIGH_SIZE,
	};
}

int
vmm_acpi_install(struct vmm *m, bool pci)
{
	struct acpi_area a = { .next = ACPI_TABLES - VMM_ACPI_BASE };
	void *fadt, *madt, *xsdt;

	a.p = vmm_ptr(m, VMM_ACPI_BASE, VMM_ACPI_TOP - VMM_ACPI_BASE);
	if (a.p == NULL)
		return (EFAULT);
	if (vmm_cpus(m) == 0 || vmm_cpus(m) > VMM_CPUS_MAX)
		return (EINVAL);
	memset(a.p, 0, VMM_ACPI_TOP - VMM_ACPI_BASE);
	fadt = acpi_fadt(&a, pci);
	madt = acpi_madt(&a, vmm_cpus(m));
	if (fadt == NULL || madt == NULL)
		return (ENOSPC);
	xsdt = acpi_xsdt(&a, fadt, madt);
	if (xsdt == NULL)
		return (ENOSPC);
	acpi_machine(&a, m);
	acpi_rsdp(&a, xsdt);
	return (0);
}

uint64_t
vmm_acpi_rsdp(const struct vmm *m)
{

	return (VMM_ACPI_BASE);
}

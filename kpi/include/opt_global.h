/* Options of the kernel configuration: those of GENERIC that matter here. */
#define	SMP		1

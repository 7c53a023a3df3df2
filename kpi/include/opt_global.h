/* Options of the kernel configuration: those of GENERIC that matter here. */
#define	SMP		1
#define	EARLY_AP_STARTUP	1
#define	DEBUGNET	1

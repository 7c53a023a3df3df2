/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * MADT, but for the local APICs, which acpi.c appends: one a CPU.  The PIT is
 * at pin 2; the SCI is a level, active high, as KVM's IOAPIC sees a line.
 */

                               Signature : "APIC"
                            Table Length : 00000000
                                Revision : 03
                                Checksum : 00
                                  Oem ID : "HVHOST"
                            Oem Table ID : "HVHOST"
                            Oem Revision : 00000001
                         Asl Compiler ID : "INTL"
                   Asl Compiler Revision : 00000001

                      Local Apic Address : FEE00000
                   Flags (decoded below) : 00000000
                     PC-AT Compatibility : 1

                           Subtable Type : 01 [I/O APIC]
                                  Length : 0C
                             I/O Apic ID : 00
                                Reserved : 00
                                 Address : FEC00000
                               Interrupt : 00000000

                           Subtable Type : 02 [Interrupt Source Override]
                                  Length : 0A
                                     Bus : 00
                                  Source : 00
                               Interrupt : 00000002
                   Flags (decoded below) : 0000
                                Polarity : 0
                            Trigger Mode : 0

                           Subtable Type : 02 [Interrupt Source Override]
                                  Length : 0A
                                     Bus : 00
                                  Source : 09
                               Interrupt : 00000009
                   Flags (decoded below) : 0000
                                Polarity : 1
                            Trigger Mode : 3

                           Subtable Type : 04 [Local APIC NMI]
                                  Length : 06
                            Processor ID : FF
                   Flags (decoded below) : 0000
                                Polarity : 0
                            Trigger Mode : 0
                    Interrupt Input LINT : 01

import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { Json } from './atom.js';
import { openVSwitchSchema } from './open-vswitch-schema.js';
import { schemaFromJson, schemaToJson } from './schema.js';

const original = '/usr/share/openvswitch/vswitch.ovsschema';

describe('the Open_vSwitch schema', () => {
  test('survives its JSON form', () => {
    const json = schemaToJson(openVSwitchSchema);
    expect(schemaToJson(schemaFromJson(JSON.parse(JSON.stringify(json)) as Json))).toEqual(json);
  });

  test.skipIf(!existsSync(original))('has the names and types of the installed Open vSwitch', () => {
    const theirs = schemaFromJson(JSON.parse(readFileSync(original, 'utf8')) as Json);
    const ours = schemaToJson(openVSwitchSchema) as { tables: Record<string, { columns: object }> };
    const wanted = schemaToJson(theirs) as { tables: Record<string, { columns: object }> };
    for (const [name, table] of Object.entries(wanted.tables)) {
      expect(Object.keys(ours.tables[name]?.columns ?? {})).toEqual(
        expect.arrayContaining(Object.keys(table.columns)),
      );
      expect(ours.tables[name]).toMatchObject(table);
    }
  });

  test.skipIf(!existsSync(original))('has nothing beside it at the same version', () => {
    const theirs = schemaFromJson(JSON.parse(readFileSync(original, 'utf8')) as Json);
    if (theirs.version !== openVSwitchSchema.version) return;
    expect(schemaToJson(openVSwitchSchema)).toEqual(schemaToJson(theirs));
  });
});

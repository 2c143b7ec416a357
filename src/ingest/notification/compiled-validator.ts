import { getMetadataStorage, type MetadataStorage, ValidationTypes } from 'class-validator';

type Metadata = ReturnType<MetadataStorage['getTargetValidationMetadatas']>[number];
type Rule = (object: object, value: unknown) => boolean;

/**
 * Compiles the class-validator rules of a class into one function that returns whether an object satisfies all of them. It
 * calls the same functions as class-validator, but finds them once instead of once per object. It builds no messages: for
 * those the caller passes the object to class-validator.
 *
 * @throws Error if the class has an unsupported kind of rule, so that no rule is skipped silently
 */
export function compileValidator(target: abstract new () => object): (object: object) => boolean {
  const storage = getMetadataStorage();
  const all = storage.getTargetValidationMetadatas(target, '', false, false);
  const rules = Object.entries(storage.groupByPropertyName(all)).map(([property, metadatas]) => ({
    property,
    conditions: metadatas.filter(isCondition).map(compileCondition),
    constraints: metadatas.filter((metadata) => !isCondition(metadata)).map(compileConstraint),
  }));
  return (object) => {
    for (const { property, conditions, constraints } of rules) {
      const value = (object as Record<string, unknown>)[property];
      const isSatisfied = (rule: Rule): boolean => rule(object, value);
      if (conditions.every(isSatisfied) && !constraints.every(isSatisfied)) return false;
    }
    return true;
  };
}

/** `@IsOptional()` and similar: if the condition is false, the other rules of the property do not apply. */
function isCondition({ type }: Metadata): boolean {
  return type === ValidationTypes.CONDITIONAL_VALIDATION;
}

function compileCondition({ constraints }: Metadata): Rule {
  const condition = constraints[0] as (object: object, value: unknown) => boolean;
  return (object, value) => condition(object, value);
}

function compileConstraint(metadata: Metadata): Rule {
  const { type, each, groups, validateIf, constraintCls, constraints, propertyName, target } = metadata;
  const [constraint] = getMetadataStorage().getTargetValidatorConstraints(constraintCls);
  const isSupported = type === ValidationTypes.CUSTOM_VALIDATION && constraint !== undefined && !constraint.async;
  const hasGroups = Array.isArray(groups) && groups.length > 0;
  if (!isSupported || each || hasGroups || validateIf) {
    throw new Error(`the rule ${metadata.name ?? type} of ${propertyName} cannot be compiled`);
  }
  const { instance } = constraint;
  const targetName = typeof target === 'string' ? target : target.name;
  return (object, value) =>
    instance.validate(value, { object, value, constraints, targetName, property: propertyName }) === true;
}

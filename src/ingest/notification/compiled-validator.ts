import { getMetadataStorage, type MetadataStorage, ValidationTypes } from 'class-validator';

type Metadata = ReturnType<MetadataStorage['getTargetValidationMetadatas']>[number];
type Rule = (object: object, value: unknown) => boolean;

/**
 * Compiles the class-validator rules of a class into one function that says whether an object keeps them all. It calls
 * the very functions that class-validator would call, but looks them up once instead of for each object, and makes
 * no words: for those the object is given to class-validator itself.
 *
 * @throws Error if the class has a kind of rule that is not known here: none may be passed over in silence
 */
export function compileValidator(target: abstract new () => object): (object: object) => boolean {
  const storage = getMetadataStorage();
  const all = storage.getTargetValidationMetadatas(target, '', false, false);
  const rulesOf = Object.entries(storage.groupByPropertyName(all)).map(([property, metadatas]) => ({
    property,
    isJudged: metadatas.filter(isCondition).map(compileCondition),
    isKept: metadatas.filter((metadata) => !isCondition(metadata)).map(compileConstraint),
  }));
  return (object) => {
    for (const { property, isJudged, isKept } of rulesOf) {
      const value = (object as Record<string, unknown>)[property];
      if (isJudged.every((rule) => rule(object, value)) && !isKept.every((rule) => rule(object, value))) return false;
    }
    return true;
  };
}

/** `@IsOptional()` and its like: where the condition does not hold, the other rules of the property do not count. */
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
  const isKnown = type === ValidationTypes.CUSTOM_VALIDATION && constraint !== undefined && !constraint.async;
  const hasGroups = Array.isArray(groups) && groups.length > 0;
  if (!isKnown || each || hasGroups || validateIf) {
    throw new Error(`the rule ${metadata.name ?? type} of ${propertyName} cannot be compiled`);
  }
  const { instance } = constraint;
  const targetName = typeof target === 'string' ? target : target.name;
  return (object, value) =>
    instance.validate(value, { object, value, constraints, targetName, property: propertyName }) === true;
}

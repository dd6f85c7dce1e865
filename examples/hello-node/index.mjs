// Makes an address of a title, with a third-party package.
import slugify from "slugify";

export const handler = async (event, context) => {
  const title = event.title ?? "Cold starts, & how to avoid them!";
  return {
    message: slugify(title, { lower: true, strict: true }),
    runtime: `Node.js ${process.versions.node}`,
    requestId: context.awsRequestId,
  };
};

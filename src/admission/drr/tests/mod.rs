mod check;
mod figures;
mod properties;
mod rules;
mod sim;

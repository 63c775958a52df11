mod check;
mod figures;
mod properties;
mod sim;
